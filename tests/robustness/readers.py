"""Whole files of every kind that the project reads, and how each kind is read and used: what the attack on files changes."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard

from app.engine.bundle import crc32, open_bundle, sha256
from app.engine.bundle_parts import check_parts
from app.engine.onnx import OnnxEngine
from app.errors import DataError
from finetune.__main__ import main
from finetune.checkpoint import newest_whole
from finetune.commands.export import export
from finetune.data.prepared import open_data, texts_of
from finetune.export.parity import read
from finetune.fetch.journal import Journal
from finetune.formats.huggingface_reader import read_huggingface
from finetune.run_folder import RunDescription, RunFolder, write_arrays
from tests.finetune.data.chats.exports import discord, telegram, whatsapp, x_messages
from tests.finetune.votes.polls import few, fill
from tests.finetune.watch.progress import told

LINES = [
    {"body": "Why did the duck cross the road?"},
    {"turns": ["Hello?", "It's me."], "meta": {"kind": "joke"}},
    {"body": "Yes.", "meta": "x", "private": False},
]


@dataclass(frozen=True)
class Reader:
    """`make` fills a folder; `use` reads it, or raises a FatalError; `files` are those that are changed."""

    make: Callable[[Path], object]
    use: Callable[[Path], object]
    files: Sequence[str]


def run_verb(*arguments: object) -> None:
    """A verb of the command line. Raises DataError with its one line where it ends with 2."""
    printed = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(printed):
        code = main([str(each) for each in arguments])
    if code:
        last = printed.getvalue().rstrip("\n").rpartition("error: ")[2]
        assert code == 2, printed.getvalue()
        raise DataError(last)


def copy_of(source: Path) -> Callable[[Path], object]:
    return lambda folder: shutil.copytree(source, folder, dirs_exist_ok=True)


def write(name: str, content: bytes | str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def prepared(name: str, checkpoint: Path, *options: str) -> Callable[[Path], None]:
    def use(folder: Path) -> None:
        shutil.rmtree(folder / "out", ignore_errors=True)
        run_verb(
            "prepare", folder / name, "--out", folder / "out", "--vocabulary", checkpoint, "--validation", 0, *options
        )
        list(texts_of(open_data(folder / "out"), "train"))

    return use


def use_bundle(folder: Path) -> None:
    """As the app does, with checksums that are right, so that what lies behind them is attacked."""
    manifest = folder / "manifest.json"
    try:
        said = json.loads(manifest.read_bytes())
        for field, of in (("files", sha256), ("crc32", crc32)):
            said[field] |= {name: of(folder / name) for name in said[field] if (folder / name).is_file()}
        manifest.write_text(json.dumps(said), encoding="utf-8")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UnicodeError, OSError):
        pass
    bundle = open_bundle(folder, "crc32")
    check_parts(bundle)
    engine = OnnxEngine(bundle, threads=1)
    read(engine.slots(1, 3), [1, 2, bundle.manifest.hparams.n_vocab - 1])
    assert engine.tokenizer.decode(engine.tokenizer.encode("a duck")) == "a duck"


def without_batch(bundle: Path, folder: Path) -> None:
    shutil.copytree(bundle, folder, dirs_exist_ok=True)
    said = json.loads((folder / "manifest.json").read_bytes())
    del said["batch"]
    (folder / "manifest.json").write_text(json.dumps(said), encoding="utf-8")


def make_run(checkpoint: Path, folder: Path) -> None:
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
    told(folder)
    run = RunFolder(folder)
    made = {"at": "2026-11-01T10:00:00+00:00", "keras": "3.0"}
    options = {"steps": 100, "data": "data/x", "learning_rate": 1e-4}
    run.describe(
        RunDescription(corpus_sha256="0" * 64, end=2, template="text", init="scratch", options=options, made=made)
    )
    run.add_samples(40, ["Why did the duck?", "Yes, we do."])


def use_run(folder: Path) -> None:
    run_verb("show", folder)
    run_verb("watch", folder, "--json")
    run = RunFolder(folder)
    run.log()
    assert run.description is None or run.description.template


def use_state(folder: Path) -> None:
    class Save:
        step = 7

    RunFolder(folder).state(Save())  # type: ignore[arg-type]


def use_journal(folder: Path) -> None:
    journal = Journal(folder / "corpus.jsonl", {"query": "x"})
    assert isinstance(journal.state, dict)
    journal.keep(row=1)


def make_journal(folder: Path) -> None:
    Journal(folder / "corpus.jsonl", {"query": "x"}).keep(row=3, sources=["a"])


def make_archive(folder: Path) -> None:
    np.savez_compressed(folder / "text.npz", np.arange(40, dtype=np.int32), np.array([1, 2], np.int64))


def readers(checkpoint: Path, bundle: Path, data: Path) -> dict[str, Reader]:
    """All kinds, by what they are called in a report."""
    lines = "".join(json.dumps(each) + "\n" for each in LINES).encode()
    table = "title,body,score\r\n" + '"a ""b""","two\nlines",3\r\nx,"é, y",4\r\n' * 3
    config = "steps: 3\ndata: data/x\nout: checkpoint/x\nlearning_rate: 1.0e-4\nseed: 1\n"
    files = {
        "lines of JSON": ("text.jsonl", lines),
        "lines of JSON in zstandard": ("text.jsonl.zst", zstandard.compress(lines)),
        "text in gzip": ("text.txt.gz", gzip.compress(b"<|startoftext|>A duck.<|endoftext|>\n" * 5)),
        "a table": ("text.csv", table.encode()),
    }
    chats = {
        "Telegram's export": ("result.json", telegram().encode()),
        "WhatsApp's export": ("chat.txt", whatsapp().encode()),
        "Discord's export": ("chat.json", discord().encode()),
        "X's archive": ("direct-messages.js", x_messages().encode()),
    }
    found = {kind: Reader(write(*file), prepared(file[0], checkpoint), [file[0]]) for kind, file in files.items()}
    found |= {
        kind: Reader(
            write(*file), prepared(file[0], checkpoint, "--model-is", "me" if kind[0] == "X" else "Bob"), [file[0]]
        )
        for kind, file in chats.items()
    }
    names = ["manifest.json", "tokenizer.json", "model.onnx", "batch.onnx"]
    run_files = ["description.json", "log.csv", "samples.txt", "progress.json"]
    state = {"count": np.array(3), "moment": np.ones((4, 4), np.float32)}
    return found | {
        "a bundle": Reader(copy_of(bundle), use_bundle, names),
        "a bundle of an older version": Reader(lambda folder: without_batch(bundle, folder), use_bundle, names[:3]),
        "a checkpoint": Reader(
            copy_of(checkpoint), newest_whole, ["hparams.json", "encoder.json", "vocab.bpe", "checkpoint", "model-7.index"]
        ),
        "a Hugging Face folder": Reader(
            lambda folder: export(checkpoint, folder / "x", format="huggingface"),
            lambda folder: read_huggingface(folder / "x"),
            [f"x/{name}" for name in ("config.json", "model.safetensors", "vocab.json", "tokenizer.json", "merges.txt")],
        ),
        "prepared data": Reader(
            copy_of(data), lambda folder: list(texts_of(open_data(folder), "train")), ["description.json", "encoder.json"]
        ),
        "an archive of tokens": Reader(make_archive, prepared("text.npz", checkpoint), ["text.npz"]),
        "a run": Reader(lambda folder: make_run(checkpoint, folder), use_run, run_files),
        "an optimizer's state": Reader(
            lambda folder: write_arrays(folder / "training-7.npz", state), use_state, ["training-7.npz"]
        ),
        "a journal": Reader(make_journal, use_journal, [".corpus.jsonl.fetch/state.json"]),
        "votes": Reader(
            lambda folder: fill(f"sqlite:///{folder}/votes.db", few()),
            lambda folder: run_verb("report", "--store", f"sqlite:///{folder}/votes.db", "--out", folder / "out"),
            ["votes.db"],
        ),
        "options": Reader(
            write("options.yaml", config),
            lambda folder: run_verb("train", "--config", folder / "options.yaml", "--print-config"),
            ["options.yaml"],
        ),
    }  # fmt: skip
