-- Which documents have a label? Each comes with its label as a control code.
--
-- For your own table: --param documents=project.dataset.table, with the columns body and category.
--
-- Parameters:
--   label  STRING  ''   only documents with this label, or all if it is empty
--   most   INT64   1000   the most documents of one label: those with the smallest hashes
-- Tables:
--   documents  bigquery-public-data.bbc_news.fulltext  body STRING, category STRING
-- Result: body; meta, which is the label
-- Cost: these columns of the whole table

SELECT TRIM(documents.body) AS body, documents.category AS meta
FROM `bigquery-public-data.bbc_news.fulltext` AS documents
WHERE TRIM(documents.body) != ''
  AND documents.category IS NOT NULL
  AND (@label = '' OR documents.category = @label)
QUALIFY ROW_NUMBER() OVER (PARTITION BY documents.category ORDER BY FARM_FINGERPRINT(documents.body), documents.body) <= @most
