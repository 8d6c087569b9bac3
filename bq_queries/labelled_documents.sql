-- Which documents have a label, and which one? Each comes with its label as a control code.
--
-- For a table of your own: --param documents=project.dataset.table, with the columns body and category.
--
-- Parameters:
--   label  STRING  ''   only documents of this label; of all, if empty
--   most   INT64   1000   documents of one label at most: those whose hash comes first
-- Tables:
--   documents  bigquery-public-data.bbc_news.fulltext  body STRING, category STRING
-- Gives: body; meta, the label
-- Cost: these columns of the whole table

SELECT TRIM(documents.body) AS body, documents.category AS meta
FROM `bigquery-public-data.bbc_news.fulltext` AS documents
WHERE TRIM(documents.body) != ''
  AND documents.category IS NOT NULL
  AND (@label = '' OR documents.category = @label)
QUALIFY ROW_NUMBER() OVER (PARTITION BY documents.category ORDER BY FARM_FINGERPRINT(documents.body), documents.body) <= @most
