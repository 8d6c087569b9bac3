"""Whether the parts of a bundle fit each other: its graphs and its vocabulary are those that the manifest describes.

Checksums tell a damaged file. These checks tell one that is whole and belongs to another model, before a request meets it.
"""

from __future__ import annotations

import re
from pathlib import Path

from app.engine.bundle import BATCH, WEIGHTS, Bundle, open_bundle
from app.engine.graph_interface import graph_fault
from app.engine.templates import layout_of
from app.engine.tokenizer import Tokenizer
from app.errors import BundleError

TAGS_SHARE = 1 / 2
"""The most of the window that a template's tags may take."""


def open_whole_bundle(folder: Path) -> Bundle:
    """Open a bundle, compare every file with the manifest by its SHA-256, and the parts with each other. Raises BundleError."""
    bundle = open_bundle(folder)
    check_parts(bundle)
    return bundle


def check_parts(bundle: Bundle) -> None:
    """Compare the graphs and the vocabulary with the manifest. Raises BundleError."""
    for graph in (WEIGHTS[0], BATCH[0]) if bundle.has_batch else WEIGHTS[:1]:
        check_graph(bundle, graph)
    read_tokenizer(bundle)


def check_graph(bundle: Bundle, name: str) -> None:
    """Compare a graph with the manifest. Raises BundleError."""
    bundle.check([name])
    if fault := graph_fault(bundle.folder / name, bundle.manifest.hparams, name == BATCH[0]):
        raise BundleError(f"{bundle.folder / name} {fault}: copy the whole bundle again, or export it again.")


def read_tokenizer(bundle: Bundle) -> Tokenizer:
    """The bundle's vocabulary, which must have a token for each number and each byte. Raises BundleError."""
    path = bundle.tokenizer
    bundle.check([path.name])
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception:  # The tokenizers library raises bare Exceptions.
        raise BundleError(f"{path} is not a vocabulary: export the bundle again.") from None
    if fault := vocabulary_fault(tokenizer, path.read_bytes(), bundle.manifest.hparams.n_vocab):
        raise BundleError(f"{path} {fault}: export the bundle again.")
    refuse_long_tags(bundle, tokenizer)
    return tokenizer


def vocabulary_fault(tokenizer: Tokenizer, content: bytes, n_vocab: int) -> str:
    """How a vocabulary differs from one of GPT-2 of this size, in half a sentence; "" if it does not."""
    if len(tokenizer) != n_vocab:
        return f"has {len(tokenizer)} tokens and the manifest says {n_vocab}"
    if has_number(content, n_vocab) and not tokenizer.is_numbered:
        return f"has tokens whose ids are not 0 to {n_vocab - 1}"
    if not tokenizer.keeps_text:
        return "is not GPT-2's kind of vocabulary, which keeps each byte of a text"
    return ""


def has_number(content: bytes, least: int) -> bool:
    """Whether a colon and a number of `least` or more stand somewhere: only then are the ids looked at, which takes longer."""
    digits = str(least).encode()
    pattern = rb":\s*(\d{%d,}|[%c-9]\d{%d})" % (len(digits) + 1, digits[0], len(digits) - 1)
    return any((len(found), found) >= (len(digits), digits) for found in re.findall(pattern, content))


def refuse_long_tags(bundle: Bundle, tokenizer: Tokenizer) -> None:
    """Raises BundleError for a template whose tags leave hardly any room for a conversation."""
    n_ctx = bundle.manifest.hparams.n_ctx
    for template in {bundle.manifest.template, bundle.manifest.question_template}:
        layout = layout_of(template)
        tags = len(tokenizer.encode(layout.person + layout.between + layout.model))
        if tags > TAGS_SHARE * n_ctx:
            raise BundleError(
                f"{bundle.folder / 'manifest.json'} has a template whose tags are {tags} tokens long, and the window holds "
                f"{n_ctx}: choose shorter tags, or export the bundle again."
            )
