-- Which comments of a subreddit match a pattern?
--
-- HTML entities are decoded once. Deleted comments, bots and comments with a low score are left out. Local files: Reddit's
-- dumps of comments (RC_2019-08.zst, or the dump of one subreddit).
--
-- Parameters:
--   subreddit  STRING   'AmItheAsshole'     the subreddit, spelled as on Reddit
--   pattern    STRING   r'(?i)\b(YTA|NTA)\b'  a regular expression (RE2) that a comment has to contain
--   first      STRING   '2019_01'           the first month
--   last       STRING   '2019_12'           the last month
--   least      INT64    1                   the lowest score that a comment may have
--   share      FLOAT64  1                   the share of comments to take; always the same ones
-- Tables:
--   comments  fh-bigquery.reddit_comments.20*  id STRING, author STRING, subreddit STRING, created_utc INT64, score INT64, body STRING
-- Result: body, one document for each comment; id, author and score for the guardrails
-- Cost: these columns of each month that is read, for all subreddits; a dry run tells how many bytes those are

SELECT
  id,
  author,
  score,
  -- &amp; is decoded last, so that a comment about how to write &lt; stays as it is.
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
