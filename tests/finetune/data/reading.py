"""Reads a file as prepare does, into the texts of its documents."""

from __future__ import annotations

from pathlib import Path

from app.engine.templates import Template
from app.engine.tokenizer import Tokenizer
from finetune.data.chats.chat_reading import ChatRules
from finetune.data.document_block import DocumentBlock
from finetune.data.input_files import InputFile, files_of
from finetune.data.sources import Source, SplitAt


def read(
    path: Path | InputFile,
    column: str | None = None,
    split: SplitAt = "marks",
    template: Template = "text",
    encoding: str = "utf-8",
    vocabulary: Tokenizer | None = None,
) -> list[str]:
    (file,) = [path] if isinstance(path, InputFile) else files_of(str(path))
    source = Source(
        file,
        [column] if column else [],
        split,
        template,
        encoding,
        vocabulary,
        ChatRules(),
        lambda _: None,
        found_private=lambda _: None,
    )
    texts = [""]
    for document in source.documents():
        texts[-1] += DocumentBlock.of([document]).texts()[0].decode()
        if not document or document[-1].ends:
            texts.append("")
    return texts[:-1]


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path
