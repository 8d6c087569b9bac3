"""Texts whose author is hidden: what is compared, and the game of telling models from people."""
