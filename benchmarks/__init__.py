"""Measurements, one script for each question. Each prints a table and one line of JSON, which results/ keeps."""
