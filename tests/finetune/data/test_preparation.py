"""Text becomes a complete folder of tokens or none; dropped documents are counted by reason."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine.tokenizer import Tokenizer
from app.errors import DataError, SettingError
from finetune.commands.prepare import prepare
from finetune.data.prepared import Data, Role, open_data, texts_of
from finetune.data.vocabulary import learn_vocabulary
from tests.conftest import ROOT, TEXTS

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
# A thousand documents, no two of them near duplicates.
MANY = [f"{a} {b} {c}" for a in NUMBERS for b in NUMBERS for c in NUMBERS][:1000]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    learn_vocabulary(folder, TEXTS, size=300)
    return folder


@pytest.fixture
def make(tmp_path: Path, vocabulary: Path) -> Callable[..., Data]:
    """Write one input, prepare it and open what came of it."""

    def made(text: str, name: str = "input.txt", **options: Any) -> Data:
        (tmp_path / name).write_text(text, encoding="utf-8")
        prepare(
            [str(tmp_path / name)],
            out=tmp_path / "data",
            **dict[str, Any](vocabulary=vocabulary, validation=0.0) | options,
        )
        return open_data(tmp_path / "data")

    return made


def jsonl(*lines: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def marked(texts: list[str]) -> str:
    return "".join(f"<|startoftext|>{text}<|endoftext|>\n" for text in texts)


def test_a_document_is_its_tokens_and_the_real_end_of_text(make: Callable[..., Data]) -> None:
    data = make(marked(["Yes, we do.", "Pay the bill."]))
    assert list(texts_of(data, "train")) == ["Yes, we do.", "Pay the bill."]
    tokens, roles = data.train[0]
    assert tokens.tolist() == [*data.tokenizer.encode("Yes, we do."), data.tokenizer.end_of_text]
    assert set(roles.tolist()) == {Role.TEXT}


def test_the_vocabulary_is_copied(make: Callable[..., Data], vocabulary: Path) -> None:
    data = make("Yes.")
    for name in ("encoder.json", "vocab.bpe"):
        assert (data.folder / name).read_bytes() == (vocabulary / name).read_bytes()
    assert (data.description.n_vocab, data.description.end_of_text) == (300, 299)


def test_tokens_of_a_conversation_have_roles_and_are_those_of_its_text(make: Callable[..., Data]) -> None:
    data = make(jsonl({"turns": ["Why?", "Pay."], "meta": "code"}), "a.jsonl", template="qa")
    tokens, roles = data.train[0]
    encode = data.tokenizer.encode
    assert tokens[:-1].tolist() == encode("code [QUESTION] Why?\n[ANSWER] Pay.")
    lengths = [len(encode(text)) for text in ("code", " [QUESTION] Why?", "\n[ANSWER] Pay.")]
    assert roles.tolist() == np.repeat([Role.META, Role.PROMPT, Role.TEXT], [*lengths[:2], lengths[2] + 1]).tolist()


def test_in_a_chat_every_turn_ends(make: Callable[..., Data]) -> None:
    data = make(jsonl({"turns": ["Why?", "Yes.", "Pay."]}), "a.jsonl", template="chat")
    tokens, roles = data.train[0]
    ends = tokens == data.description.end_of_text
    assert roles[ends].tolist() == [Role.PROMPT, Role.REPLY, Role.TEXT]
    assert data.description.template == "chat"


def test_everything_dropped_is_counted_by_reason(make: Callable[..., Data], capsys: pytest.CaptureFixture[str]) -> None:
    bodies = ["Yes, we do.", "", " ", "Yes, we do.", "yes we do", "No", "It had a bill to pay."]
    data = make(jsonl(*({"body": body} for body in bodies)), "a.jsonl", min_tokens=3)
    assert data.description.read == 7
    assert data.description.dropped == {"empty": 2, "duplicate": 1, "near duplicate": 1, "too short": 1}
    assert data.description.documents == {"train": 2, "validation": 0}
    printed = capsys.readouterr().out
    assert "data: 2 documents, " in printed
    assert "Dropped: 2 empty, 1 duplicate, 1 near duplicate, 1 too short." in printed
    assert "Next: gpt2 train --data " in printed


def test_near_duplicates_may_be_kept(make: Callable[..., Data]) -> None:
    data = make(marked(["Yes, we do.", "yes we do", "Yes, we do."]), near_duplicates=0)
    assert data.description.dropped == {"empty": 0, "duplicate": 1, "near duplicate": 0, "too short": 0}


def test_a_document_stays_on_its_side_as_the_corpus_grows(make: Callable[..., Data]) -> None:
    fewer = make(marked(MANY[:500]), validation=0.1)
    held = set(texts_of(fewer, "validation"))
    assert 30 < len(held) < 75
    more = make(marked(MANY[::-1]), validation=0.1)
    assert set(texts_of(more, "validation")) & set(MANY[:500]) == held
    assert not set(texts_of(more, "validation")) & set(texts_of(more, "train"))


def test_a_small_corpus_has_something_to_train_on_and_ten_documents_one_to_hold_out(
    make: Callable[..., Data], capsys: pytest.CaptureFixture[str]
) -> None:
    for text in MANY[:8]:
        assert make(text, validation=0.5).description.documents == {"train": 1, "validation": 0}
    assert ", too few documents to hold some out." in capsys.readouterr().out
    assert make(marked(MANY[:10]), validation=1e-6).description.documents == {"train": 9, "validation": 1}


def test_the_corpus_hash_is_of_what_was_kept_in_order(make: Callable[..., Data]) -> None:
    first = make(marked(["Yes.", "No.", "Yes."])).description.corpus_sha256
    assert make(jsonl({"body": "Yes."}, {"body": "No."}), "a.jsonl").description.corpus_sha256 == first
    assert make(marked(["No.", "Yes."])).description.corpus_sha256 != first


def test_the_same_input_gives_the_same_files(make: Callable[..., Data]) -> None:
    def files(data: Data) -> list[bytes]:
        return [path.read_bytes() for path in sorted(data.folder.iterdir()) if path.name != "description.json"]

    assert files(make(marked(MANY), validation=0.1)) == files(make(marked(MANY), validation=0.1))


def test_a_vocabulary_is_learned_from_the_text(make: Callable[..., Data], capsys: pytest.CaptureFixture[str]) -> None:
    data = make(marked(MANY), vocabulary=Path("nowhere"), vocabulary_size=290)
    assert (len(data.tokenizer), data.description.end_of_text) == (290, 289)
    assert data.description.options["vocabulary_size"] == 290
    assert len(data.tokenizer.encode("eleven twelve")) == 6
    assert make("Yes.", vocabulary_size=5000).description.n_vocab < 5000
    assert "The text has only enough to learn a vocabulary of" in capsys.readouterr().out


def test_an_archive_is_prepared_as_its_text(make: Callable[..., Data], vocabulary: Path, tmp_path: Path) -> None:
    tokens = Tokenizer.from_gpt2(vocabulary).encode(marked(["Yes.", "No."]))
    np.savez_compressed(tmp_path / "a.npz", np.array(tokens))
    prepare([str(tmp_path / "a.npz")], out=tmp_path / "data", vocabulary=vocabulary, validation=0)
    assert list(texts_of(open_data(tmp_path / "data"), "train")) == ["Yes.", "No."]


def test_the_description_says_how_it_was_made(make: Callable[..., Data], tmp_path: Path) -> None:
    description = make("id,joke\n1,Yes.\n", "a.csv", column=("joke",)).description
    assert description.sources == [str(tmp_path / "a.csv")]
    assert (description.options["column"], description.options["near_duplicates"]) == ("joke", 0.85)
    assert {"at", "tokenizers"} <= set(description.made)


def test_what_was_prepared_before_is_replaced_and_other_files_stay(make: Callable[..., Data]) -> None:
    folder = make("Yes.").folder
    (folder / "notes.md").write_text("mine")
    assert list(texts_of(make("No."), "train")) == ["No."]
    assert (folder / "notes.md").read_text() == "mine"


def test_a_folder_of_something_else_is_left_alone(make: Callable[..., Data], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "photo.png").touch()
    with pytest.raises(SettingError, match="exists and is not prepared data: name a new folder"):
        make("Yes.")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"validation": 0.6}, "--validation is 0.6, and should be a share from 0 to 0.5."),
        ({"validation": float("nan")}, "--validation is nan"),
        ({"near_duplicates": 0.3}, "--near-duplicates is 0.3, and should be a similarity from 0.5 to 1, or 0"),
        ({"min_tokens": 0}, "--min-tokens is 0, and should be 1 or more."),
        ({"vocabulary_size": 100}, "--vocabulary-size is 100, and should be 257 or more"),
        ({"encoding": "klingon"}, "--encoding is 'klingon', and should be a text encoding that Python knows"),
        ({"encoding": "hex"}, "--encoding is 'hex'"),
        ({"column": ("text",)}, "--column is 'text', and no input is a .csv or .tsv: leave it out."),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], sentence: str, make: Callable[..., Data]) -> None:
    with pytest.raises(SettingError) as error:
        make("Yes.", **options)
    assert sentence in str(error.value)


def test_a_split_without_running_text_is_refused(make: Callable[..., Data]) -> None:
    with pytest.raises(SettingError, match=r"--split is lines, and no input is a \.txt or \.npz"):
        make("Yes.", "a.csv", split="lines")


@pytest.mark.parametrize("options", [{}, {"min_tokens": 1000}])
def test_a_corpus_without_text_is_refused_with_the_reasons(options: dict[str, Any], make: Callable[..., Data]) -> None:
    with pytest.raises(DataError, match=r"there is no text to train on in the inputs \((empty|too short) 1\)"):
        make("Yes." if options else " \n", **options)


def test_no_documents_are_not_compared(make: Callable[..., Data], capsys: pytest.CaptureFixture[str]) -> None:
    """A progress bar of 0 documents was printed before the error."""
    with pytest.raises(DataError, match="there is no text"):
        make(" \n")
    assert "compare" not in capsys.readouterr().err


def test_a_vocabulary_that_is_missing_says_where_to_get_one(make: Callable[..., Data], tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        make("Yes.", vocabulary=tmp_path / "124M")
    for way in ("124M/encoder.json is missing", "finetune download 124M", "--vocabulary ", "--vocabulary-size N"):
        assert way in str(error.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ids: ids.pop("<|endoftext|>"), "has no <|endoftext|>, which ends every document"),
        (lambda ids: ids.pop("q"), "whose ids should be 0 to 298, each once"),
        (lambda ids: ids.update({"[ß ]": 300}), "is not spelled in GPT-2's alphabet"),
    ],
)  # fmt: skip
def test_a_vocabulary_that_cannot_encode_every_text_is_refused(
    change: Callable[[dict[str, int]], object],
    sentence: str,
    make: Callable[..., Data],
    vocabulary: Path,
    tmp_path: Path,
) -> None:
    ids = json.loads((vocabulary / "encoder.json").read_text())
    change(ids)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/encoder.json").write_text(json.dumps(ids))
    (tmp_path / "other/vocab.bpe").write_text(
        "#version: 0.2\n" if "q" not in ids else (vocabulary / "vocab.bpe").read_text()
    )
    with pytest.raises(DataError, match=sentence.replace("|", r"\|") if "<|" in sentence else sentence):
        make("Yes.", vocabulary=tmp_path / "other")


def test_a_failure_leaves_nothing_behind(make: Callable[..., Data], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2"):
        make('{"body": "Yes."}\n{', "a.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


LIMITED = """
import resource, sys
from pathlib import Path
from app.errors import DataError
from finetune.commands.prepare import prepare
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
try:
    prepare([sys.argv[1]], out=Path(sys.argv[2]), vocabulary=Path(sys.argv[3]))
except DataError as error:
    sys.exit(f"error: {error}")
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
"""


def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(vocabulary: Path, tmp_path: Path) -> None:
    """A limit of 20,000 bytes per file stands for the full disk."""
    (tmp_path / "input.txt").write_text(marked(MANY * 2))
    ended = run(LIMITED, tmp_path / "input.txt", tmp_path / "data", vocabulary)
    assert ended.stderr.splitlines()[-1].startswith(f"error: there is no space left on the disk of {tmp_path}: free ")
    assert "Traceback" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["input.txt"]


def run(program: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


LARGE = """
import resource, sys
from pathlib import Path
from finetune.commands.prepare import prepare
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
prepare([sys.argv[1]], out=Path(sys.argv[2]), vocabulary=Path(sys.argv[3]))
print("grown:", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
"""


@pytest.mark.slow
def test_memory_is_flat(vocabulary: Path, tmp_path: Path) -> None:
    """Twelve megabytes of short documents, and eleven as one text, each need little more memory than a block."""
    many = (f"{text} {number}." for number, text in enumerate(MANY * 400))
    (tmp_path / "many.csv").write_text("text\n" + "\n".join(many))
    (tmp_path / "one.txt").write_text("The duck had a bill to pay, said it.\n" * 300_000)
    for name in ("many.csv", "one.txt"):
        ended = run(LARGE, tmp_path / name, tmp_path / name[:3], vocabulary)
        assert int(ended.stdout.split("grown:")[1]) < 400
