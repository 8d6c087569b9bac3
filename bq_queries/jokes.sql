-- Which posts of a subreddit are jokes with the set-up in the title and the punch line in the text?
--
-- Local files: Reddit's dumps of posts (RS_2019-08.zst, or the dump of one subreddit).
--
-- Parameters:
--   subreddit  STRING  'Jokes'      the subreddit
--   first      STRING  '2019_01'    the first month
--   last       STRING  '2019_12'    the last month
--   least      INT64   5            the lowest score that a post may have
--   longest    INT64   300          the most characters that question and answer may have together
-- Tables:
--   posts  fh-bigquery.reddit_posts.20*  id STRING, author STRING, subreddit STRING, created_utc INT64, score INT64, title STRING, selftext STRING
-- Result: turns (question and answer); id, author and score for the guardrails
-- Cost: these columns of each month that is read; a dry run tells how many bytes those are

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
  -- Of several posts of the same joke, the one with the highest score.
QUALIFY ROW_NUMBER() OVER (PARTITION BY LOWER(question), LOWER(answer) ORDER BY score DESC, id) = 1
