-- How well are texts liked, by model or file? Reads the tables that the app keeps with FEEDBACK=bigquery://….
--
-- Name the tables: --param texts=project.dataset.texts --param votes=project.dataset.votes
--
-- Parameters:
--   fewest  INT64  1  models and files with fewer votes are left out
-- Tables:
--   texts  project.dataset.texts  id STRING, generated_by STRING, source STRING, created TIMESTAMP
--   votes  project.dataset.votes  text_id STRING, voter STRING, value INT64, at TIMESTAMP
-- Result: a table with one row for each model or file, not a corpus; low and high are the 95 % Wilson interval of the like rate
-- Cost: these columns of both tables, at least 10 MB each

WITH shown AS (
  SELECT id, generated_by, source
  FROM `project.dataset.texts`
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY created) = 1
),
counted AS (
  -- Rows are only appended, so the last vote of a person on a text counts.
  SELECT text_id, value
  FROM `project.dataset.votes`
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY text_id, voter ORDER BY `at` DESC) = 1
),
totals AS (
  SELECT generated_by, source, COUNT(DISTINCT id) AS texts, COUNT(value) AS votes, COUNTIF(value = 1) AS up
  FROM shown
  LEFT JOIN counted ON text_id = id
  GROUP BY generated_by, source
)
SELECT
  generated_by,
  source,
  texts,
  votes,
  up,
  ROUND(up / votes, 4) AS share,
  ROUND((up + 1.9208 - 1.96 * SQRT(up * (votes - up) / votes + 0.9604)) / (votes + 3.8416), 4) AS low,
  ROUND((up + 1.9208 + 1.96 * SQRT(up * (votes - up) / votes + 0.9604)) / (votes + 3.8416), 4) AS high
FROM totals
WHERE votes >= GREATEST(@fewest, 1)
ORDER BY share DESC, generated_by
