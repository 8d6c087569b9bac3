"""Reads .npz archives of gpt-2-simple's encode_dataset: token ids, decoded into text."""

from __future__ import annotations

import codecs
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from app.engine.tokenizer import END_OF_TEXT, Tokenizer
from app.errors import DataError

BLOCK_TOKENS = 2**18
"""Token ids to decode at a time."""


def read_archive(path: Path, vocabulary: Tokenizer, progress: Callable[[int], object]) -> Iterator[Iterator[str]]:
    """The text of each array, block by block.

    Raises DataError where the file is not such an archive or was encoded with another vocabulary.
    """
    token_bytes = [vocabulary.bytes_of(token) for token in range(len(vocabulary))]
    # encode_dataset spells the mark <|endoftext|> in seven ordinary tokens. The end-of-text token counts as the same mark.
    token_bytes[vocabulary.end_of_text or 0] = END_OF_TEXT.encode()
    with refuse_other_archives(path), zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as file:
                yield read_array(path, file, token_bytes)
            progress(entry.compress_size)


@contextmanager
def refuse_other_archives(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, OSError, RuntimeError) as error:
        raise DataError(
            f"{path} was not written by gpt-2-simple's encode_dataset ({error}): encode the text again."
        ) from None


def read_array(path: Path, file: IO[bytes], token_bytes: list[bytes]) -> Iterator[str]:
    """The text of one array, block by block."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with refuse_other_archives(path):
        for tokens in token_blocks(file):
            unknown = tokens[(tokens < 0) | (tokens >= len(token_bytes))]
            if len(unknown):
                raise DataError(
                    f"{path} holds the token {unknown[0]}, and the vocabulary has {len(token_bytes):,}: "
                    "give the folder of the vocabulary that it was encoded with as --vocabulary."
                )
            try:
                yield decoder.decode(b"".join(map(token_bytes.__getitem__, tokens.tolist())), final=not len(tokens))
            except UnicodeDecodeError:
                raise DataError(
                    f"{path} is not text in this vocabulary: give the folder of the vocabulary that it was encoded with "
                    "as --vocabulary."
                ) from None


def token_blocks(file: IO[bytes]) -> Iterator[NDArray[np.integer[Any]]]:
    """The token ids of an array in blocks. The last block is empty."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, kind = header(file)
    if kind.kind not in "iu" or kind.shape:
        raise ValueError(f"an array of {kind} instead of token ids")
    tokens = np.zeros(1, kind)
    while len(tokens):
        tokens = np.frombuffer(file.read(BLOCK_TOKENS * kind.itemsize), kind)
        yield tokens
