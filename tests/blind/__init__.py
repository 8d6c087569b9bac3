"""Texts whose author is hidden."""
