-- How often is it guessed who wrote a text, by model or file? Reads the tables that the app keeps with FEEDBACK=bigquery://….
--
-- Name the tables: --param texts=project.dataset.texts --param guesses=project.dataset.guesses
--
-- Parameters:
--   fewest  INT64  1  models and files with fewer guesses are left out
-- Tables:
--   texts    project.dataset.texts    id STRING, text STRING, prompt STRING, generated_by STRING, source STRING, created TIMESTAMP
--   guesses  project.dataset.guesses  text_id STRING, voter STRING, guessed STRING, at TIMESTAMP
-- Result: a table with one row for each model or file, not a corpus; low and high are the 95 % Wilson interval of the share
-- Cost: these columns of both tables, at least 10 MB each

WITH shown AS (
  SELECT id, text, prompt, generated_by, source
  FROM `project.dataset.texts`
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY created) = 1
),
counted AS (
  -- A human text is stored anew whenever it is shown, and its author is known after the first guess.
  SELECT generated_by, source, voter, guessed = source AS recognized
  FROM `project.dataset.guesses`
  JOIN shown ON text_id = id
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY voter, generated_by, source, prompt, text ORDER BY `at`) = 1
),
totals AS (
  SELECT generated_by, source, COUNT(DISTINCT voter) AS people, COUNT(*) AS guesses, COUNTIF(recognized) AS right_ones
  FROM counted
  GROUP BY generated_by, source
)
SELECT
  generated_by,
  source,
  people,
  guesses,
  right_ones,
  ROUND(right_ones / guesses, 4) AS share,
  ROUND((right_ones + 1.9208 - 1.96 * SQRT(right_ones * (guesses - right_ones) / guesses + 0.9604)) / (guesses + 3.8416), 4) AS low,
  ROUND((right_ones + 1.9208 + 1.96 * SQRT(right_ones * (guesses - right_ones) / guesses + 0.9604)) / (guesses + 3.8416), 4) AS high
FROM totals
WHERE guesses >= GREATEST(@fewest, 1)
ORDER BY share DESC, generated_by
