-- Which posts of a subreddit are a question with its answer: a joke's set-up in the title, the punch line below it?
--
-- Local files: Reddit's dumps of posts (RS_2019-08.zst, or a subreddit's own).
--
-- Parameters:
--   subreddit  STRING  'Jokes'      the subreddit
--   first      STRING  '2019_01'    the first month
--   last       STRING  '2019_12'    the last month
--   least      INT64   5            the lowest score
--   longest    INT64   300          characters of question and answer together at most
-- Tables:
--   posts  fh-bigquery.reddit_posts.20*  id STRING, author STRING, subreddit STRING, created_utc INT64, score INT64, title STRING, selftext STRING
-- Gives: turns, question and answer; id, author and score for the guardrails
-- Cost: these columns of every month asked for; a dry run says how many bytes that is

WITH posts AS (
  SELECT
    id,
    author,
    score,
    TRIM(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(title, '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&#39;', "'"), '&amp;', '&'))
      AS question,
    TRIM(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(selftext, '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&#39;', "'"), '&amp;', '&'))
      AS answer
  FROM `fh-bigquery.reddit_posts.20*`
  WHERE _TABLE_SUFFIX BETWEEN SUBSTR(@first, 3) AND SUBSTR(@last, 3)
    AND subreddit = @subreddit
    AND score >= @least
    AND selftext NOT IN ('', '[deleted]', '[removed]')
)
SELECT id, author, score, [question, answer] AS turns
FROM posts
WHERE (ENDS_WITH(question, '?') OR ENDS_WITH(question, '...') OR ENDS_WITH(question, '…'))
  AND LENGTH(question) + LENGTH(answer) <= @longest
  -- Posts of the same joke: the one that was liked best.
QUALIFY ROW_NUMBER() OVER (PARTITION BY LOWER(question), LOWER(answer) ORDER BY score DESC, id) = 1
