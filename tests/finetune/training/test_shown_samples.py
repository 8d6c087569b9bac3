"""Samples on the screen."""

from __future__ import annotations

from finetune.training.shown_samples import shown_samples


def test_the_first_samples_are_shown_short_and_cannot_move_the_cursor() -> None:
    texts = ["Why did the \x1b[2Jduck cross?\nTo see.", "a\nb\nc\nd\ne", "not shown"]
    assert shown_samples(20, texts) == (
        "step 20 writes:\n    Why did the �[2Jduck cross?\n    To see.\n    a\n    b\n    c\n    d …"
    )
    assert shown_samples(20, ["x" * 300]).endswith("x" * 200 + " …")
