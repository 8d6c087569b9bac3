"""Where text comes from: queries on BigQuery or on local dumps, Reddit's API, tables and folders of files."""
