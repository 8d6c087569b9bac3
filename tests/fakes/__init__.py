"""Fakes of other people's servers, on loopback: BigQuery, Reddit and Telegram. Tests and benchmarks use them."""
