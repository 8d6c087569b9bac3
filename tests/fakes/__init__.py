"""Servers of other people, on loopback: BigQuery and Telegram. Tests and benchmarks use them."""
