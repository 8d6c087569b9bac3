-- Which comments of a subreddit say what a pattern looks for?
--
-- The seed's question, with its entities undone once and in the right order, and without deleted comments, bots and what
-- was voted down. Local files: Reddit's dumps of comments (RC_2019-08.zst, or a subreddit's own).
--
-- Parameters:
--   subreddit  STRING   'AmItheAsshole'     the subreddit, spelled as Reddit does
--   pattern    STRING   r'(?i)\b(YTA|NTA)\b'  what a comment has to contain: a regular expression (RE2)
--   first      STRING   '2019_01'           the first month
--   last       STRING   '2019_12'           the last month
--   least      INT64    1                   the lowest score
--   share      FLOAT64  1                   the share of comments to take, the same ones each time
-- Tables:
--   comments  fh-bigquery.reddit_comments.20*  id STRING, author STRING, subreddit STRING, created_utc INT64, score INT64, body STRING
-- Gives: body, for one document a comment; id, author and score for the guardrails
-- Cost: these columns of every month asked for, whatever the subreddit; a dry run says how many bytes that is

SELECT
  id,
  author,
  score,
  -- &amp; comes last, so that a comment that shows how to write &lt; keeps showing it.
  REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(body, '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&#39;', "'"), '&amp;', '&') AS body
FROM `fh-bigquery.reddit_comments.20*`
WHERE _TABLE_SUFFIX BETWEEN SUBSTR(@first, 3) AND SUBSTR(@last, 3)
  AND subreddit = @subreddit
  AND score >= @least
  AND body NOT IN ('[deleted]', '[removed]')
  AND author != 'AutoModerator'
  AND NOT REGEXP_CONTAINS(author, r'(?i)[-_]bot\d*$')
  AND REGEXP_CONTAINS(body, @pattern)
  AND (@share >= 1 OR ABS(MOD(FARM_FINGERPRINT(id), 1000000)) < @share * 1000000)
