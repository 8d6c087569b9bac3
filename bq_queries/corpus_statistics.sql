-- What is there to fetch? For each month: comments, authors, lengths, scores, and how much was deleted.
--
-- Local files: Reddit's dumps of comments.
--
-- Parameters:
--   subreddit  STRING  'AmItheAsshole'  the subreddit
--   first      STRING  '2019_01'        the first month
--   last       STRING  '2019_12'        the last month
-- Tables:
--   comments  fh-bigquery.reddit_comments.20*  author STRING, subreddit STRING, created_utc INT64, score INT64, body STRING
-- Result: a table with one row for each month, not a corpus
-- Cost: these columns of each month that is read; a dry run tells how many bytes those are

SELECT
  FORMAT_TIMESTAMP('%Y-%m', TIMESTAMP_SECONDS(created_utc)) AS month,
  COUNT(*) AS comments,
  COUNT(DISTINCT author) AS authors,
  COUNTIF(body IN ('[deleted]', '[removed]')) AS deleted,
  COUNTIF(author = 'AutoModerator' OR REGEXP_CONTAINS(author, r'(?i)[-_]bot\d*$')) AS by_bots,
  COUNTIF(score < 1) AS voted_down,
  COUNTIF(REGEXP_CONTAINS(body, r'https?://')) AS with_links,
  SUM(LENGTH(body)) AS characters,
  ROUND(AVG(LENGTH(body)), 1) AS mean_characters,
  ROUND(AVG(score), 1) AS mean_score
FROM `fh-bigquery.reddit_comments.20*`
WHERE _TABLE_SUFFIX BETWEEN SUBSTR(@first, 3) AND SUBSTR(@last, 3)
  AND subreddit = @subreddit
GROUP BY month
ORDER BY month
