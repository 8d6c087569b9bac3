"""Encodes documents block by block: tokens, a role for each, and how many each document has."""

from __future__ import annotations

import re
from itertools import chain, pairwise

import numpy as np

from app.engine.tokenizer import Tokenizer
from finetune.data.document_block import DocumentBlock, sums
from finetune.data.prepared import TokenBlock
from finetune.data.word_table import Ragged, WordTable

TOGETHER = 64
"""Words that are tokenized as one text, at most."""
BEGINS_WORD = re.compile(r" \S").match
"""Before such a place, GPT-2's tokenizer always cuts."""


class DocumentEncoder:
    """Encodes documents with a tokenizer that has an end of text. Each different word is tokenized once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        assert tokenizer.end_of_text is not None
        self._end = tokenizer.end_of_text
        self._tokenizer = tokenizer
        self._bytes = np.array([len(tokenizer.bytes_of(token)) for token in range(len(tokenizer))])
        self._words = WordTable(self._tokens_of)

    def encode(self, block: DocumentBlock) -> TokenBlock:
        tokens, lengths = self._words.look_up(block.text, block.lengths)
        tokens = np.insert(tokens, np.cumsum(lengths)[block.ends], self._end)
        lengths = lengths + block.ends
        return TokenBlock(tokens, np.repeat(block.roles, lengths), sums(lengths, block.parts))

    def _tokens_of(self, words: list[str]) -> Ragged:
        """The tokens of each word. Many are tokenized as one text, which is faster, and told apart by their bytes."""
        starts = [at for at, word in enumerate(words) if at % TOGETHER == 0 or not BEGINS_WORD(word)]
        texts = ["".join(words[start:end]) for start, end in pairwise([*starts, len(words)])]
        tokens = np.fromiter(chain.from_iterable(self._tokenizer.encode_batch(texts)), np.uint32)
        ends = np.cumsum([len(word.encode()) for word in words])
        return Ragged(tokens, np.diff(np.searchsorted(np.cumsum(self._bytes[tokens]), ends, side="right"), prepend=0))
