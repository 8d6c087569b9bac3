"""Text for a corpus: queries on BigQuery or files, Reddit's API, tables, folders of files."""
