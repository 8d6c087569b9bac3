"""Durations in words, as people say them."""

from __future__ import annotations


def about(seconds: float) -> str:
    """A duration that is estimated: `14 minutes`, `2.5 hours`, `3 days`."""
    minutes = seconds / 60
    if minutes < 1.5:
        return "a minute"
    if minutes < 90:
        return f"{minutes:.0f} minutes"
    hours = minutes / 60
    if hours < 48:
        return f"{hours:.1f}".removesuffix(".0") + " hours"
    return f"{hours / 24:.0f} days"
