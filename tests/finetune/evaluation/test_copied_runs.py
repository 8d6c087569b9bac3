"""The longest copies are shown once each, with the text around them and around where they are from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finetune.data.prepared import Documents
from finetune.evaluation.copied_runs import CONTEXT, CopiedRun, longest_copies
from finetune.evaluation.copying import longest_matches
from finetune.evaluation.passages import Passage

END = 999


def spelled(tokens: NDArray[np.int32]) -> str:
    return "".join(f"{token} " for token in tokens if token != END)


def copies(written: list[list[int]], documents: list[list[int]], n: int) -> list[CopiedRun]:
    tokens = np.array([token for document in documents for token in (*document, END)], np.uint16)
    ends = np.cumsum([len(document) + 1 for document in documents])
    train = Documents(tokens, np.zeros(len(tokens), np.uint8), ends)
    passages = [Passage(np.array(text, np.int32), ended=True) for text in written]
    return longest_copies(passages, longest_matches(passages, tokens, END), train, spelled, n)


def test_the_longest_comes_first_and_each_run_once() -> None:
    documents = [[1, 2, 3, 4, 5, 6], [11, 12, 13, 14]]
    written = [[20, 11, 12, 13, 21], [22, 2, 3, 4, 5, 23], [24, 2, 3, 4, 5, 25], [1, 2, 30]]
    longest, shorter = copies(written, documents, n=3)
    assert (longest.run, longest.tokens, longest.words, longest.document) == ("2 3 4 5 ", 4, 4, 0)
    assert (longest.before, longest.after) == ("22 ", "23 ")
    assert (longest.source_before, longest.source_after) == ("1 ", "6 ")
    assert (shorter.run, shorter.document, shorter.source_before, shorter.source_after) == ("11 12 13 ", 1, "", "14 ")


def test_of_a_long_document_only_the_text_around_the_copy_is_shown() -> None:
    (found,) = copies([[100, 101, 102]], [[*range(300)]], n=3)
    assert found.source_before == "…" + spelled(np.arange(100 - CONTEXT, 100, dtype=np.int32))
    assert found.source_after == spelled(np.arange(103, 103 + CONTEXT, dtype=np.int32)) + "…"


def test_shorter_copies_are_not_shown() -> None:
    assert copies([[1, 2, 3]], [[1, 2, 3, 4]], n=4) == []
