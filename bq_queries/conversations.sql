-- Who answered whom? Chains of comments in a subreddit, from a top-level comment down to one without an answer.
--
-- A comment that is filtered out takes its answers with it. Local files: Reddit's dumps of comments.
--
-- Parameters:
--   subreddit  STRING  'CasualConversation'  the subreddit
--   first      STRING  '2019_01'             the first month
--   last       STRING  '2019_01'             the last month
--   least      INT64   1                     the lowest score that a comment may have
--   shortest   INT64   2                     the fewest comments in a chain
--   longest    INT64   8                     the most comments in a chain, which is cut there
-- Tables:
--   comments  fh-bigquery.reddit_comments.20*  id STRING, parent_id STRING, author STRING, subreddit STRING, created_utc INT64, score INT64, body STRING
-- Result: turns, with authors and scores for the guardrails; id is that of the last comment
-- Cost: these columns of each month that is read; a dry run tells how many bytes those are

WITH RECURSIVE said AS (
  SELECT
    id,
    parent_id,
    author,
    score,
    REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(body, '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&#39;', "'"), '&amp;', '&') AS body
  FROM `fh-bigquery.reddit_comments.20*`
  WHERE _TABLE_SUFFIX BETWEEN SUBSTR(@first, 3) AND SUBSTR(@last, 3)
    AND subreddit = @subreddit
    AND score >= @least
    AND body NOT IN ('[deleted]', '[removed]')
    AND author != 'AutoModerator'
    AND NOT REGEXP_CONTAINS(author, r'(?i)[-_]bot\d*$')
),
chains AS (
  SELECT id, [body] AS turns, [author] AS authors, [score] AS scores
  FROM said
  WHERE STARTS_WITH(parent_id, 't3_')
  UNION ALL
  SELECT
    said.id,
    ARRAY_CONCAT(chains.turns, [said.body]),
    ARRAY_CONCAT(chains.authors, [said.author]),
    ARRAY_CONCAT(chains.scores, [said.score])
  FROM chains
  JOIN said ON said.parent_id = CONCAT('t1_', chains.id)
  WHERE ARRAY_LENGTH(chains.turns) < @longest
)
SELECT chains.id, chains.turns, chains.authors, chains.scores
FROM chains
LEFT JOIN (SELECT DISTINCT parent_id FROM said) AS answered ON answered.parent_id = CONCAT('t1_', chains.id)
WHERE ARRAY_LENGTH(chains.turns) >= @shortest
  AND (answered.parent_id IS NULL OR ARRAY_LENGTH(chains.turns) = @longest)
