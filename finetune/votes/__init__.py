"""Votes of people on texts: reading them, like rates with their intervals, and texts to train on."""
