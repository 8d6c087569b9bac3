"""GoogleSQL, the SQL of BigQuery, compiled to DuckDB's: what is known to mean the same, and a refusal for the rest."""
