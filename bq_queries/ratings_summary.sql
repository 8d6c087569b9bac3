-- How well are texts liked, by where they come from? From the tables that the app keeps with FEEDBACK=bigquery://….
--
-- Name them: --param texts=project.dataset.texts --param votes=project.dataset.votes
--
-- Parameters:
--   fewest  INT64  1  origins with fewer votes are left out
-- Tables:
--   texts  project.dataset.texts  id STRING, generated_by STRING, source STRING, created TIMESTAMP
--   votes  project.dataset.votes  text_id STRING, voter STRING, value INT64, at TIMESTAMP
-- Gives: a row an origin, no corpus; low and high are the 95% interval of Wilson around the share of thumbs up
-- Cost: these columns of both tables, 10 MB each at least

WITH shown AS (
  SELECT id, generated_by, source
  FROM `project.dataset.texts`
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY created) = 1
),
counted AS (
  -- Rows are only ever added: of a person's votes on a text the last counts.
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
