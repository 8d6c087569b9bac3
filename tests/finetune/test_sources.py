"""Files become documents, each kind as it is written in the wild; what does not fit is one sentence with a line number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.engine.bundle import Template
from app.engine.tokenizer import Tokenizer
from app.errors import DataError, SettingError
from finetune.data.documents import LONGEST_TEXT, from_turns, text_of
from finetune.data.input_files import find_files
from finetune.data.prepared import Role
from finetune.data.sources import BLOCK, BORDERS, Source, SplitAt, split_text
from finetune.data.vocabulary import learn_vocabulary
from tests.conftest import TEXTS


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("vocabulary")
    learn_vocabulary(folder, TEXTS, size=300)
    return Tokenizer.from_gpt2(folder)


def read(
    path: Path,
    column: str | None = None,
    split: SplitAt = "marks",
    template: Template = "text",
    encoding: str = "utf-8",
    vocabulary: Tokenizer | None = None,
) -> list[str]:
    source = Source(path, column, split, template, encoding, vocabulary, progress=lambda _: None)
    return [text_of(document) for document in source.documents()]


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("One.\nStill one.\n", ["One.\nStill one."]),
        ("<|startoftext|>One.<|endoftext|>\n<|startoftext|>Two.<|endoftext|>\n", ["One.", "Two."]),
        ("One.<|endoftext|>Two.", ["One.", "Two."]),
        ("<|startoftext|>One.\n<|startoftext|>Two.", ["One.", "Two."]),
        ("<|startoftext|><|endoftext|><|startoftext|>One.<|endoftext|>", ["", "One."]),
        ("A <| endoftext |> of another kind.", ["A <| endoftext |> of another kind."]),
        ("One.\r\nStill one.\rStill.", ["One.\nStill one.\nStill."]),
        ("\ufeffOne.", ["One."]),
        ("", [""]),
        (" \n ", [""]),
    ],
)
def test_a_text_file_is_one_document_or_what_its_marks_say(text: str, documents: list[str], tmp_path: Path) -> None:
    assert read(written(tmp_path / "a.txt", text)) == documents


def test_a_text_file_is_split_where_asked(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "One.\nTwo.\n \n\nThree.<|endoftext|>\n<|startoftext|>Four.\n")
    assert read(path, split="lines") == ["One.", "Two.", "Three.", "Four."]
    assert read(path, split="blank_lines") == ["One.\nTwo.", "Three.", "Four."]


@pytest.mark.parametrize("size", range(1, 40))
def test_a_mark_on_the_border_of_two_blocks_is_a_mark(size: int) -> None:
    text = "<|startoftext|>One.<|endoftext|>\n<|startoftext|>Two.<|endoftext|>\n"
    blocks = [text[start : start + size] for start in range(0, len(text), size)]
    assert list(split_text(blocks, BORDERS["marks"])) == ["One.", "Two."]


def test_a_text_without_an_end_is_cut_between_paragraphs_and_nothing_is_lost(tmp_path: Path) -> None:
    paragraphs = [f"{number} {'word ' * 200}".strip() for number in range(3000)]
    documents = read(written(tmp_path / "a.txt", "\n\n".join(paragraphs)))
    assert len(documents) > 3 * BLOCK // LONGEST_TEXT // 2
    assert max(map(len, documents)) <= LONGEST_TEXT
    assert "\n\n".join(documents).split("\n\n") == paragraphs


def test_a_text_without_a_space_is_cut_all_the_same(tmp_path: Path) -> None:
    text = "".join(map(str, range(300_000)))
    assert "".join(read(written(tmp_path / "a.txt", f"{text}<|endoftext|>Two."))) == f"{text}Two."


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "utf-8-sig"])
def test_every_encoding_is_read_when_named(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "Une idée à moi.", encoding)
    assert read(path, encoding=encoding) == ["Une idée à moi."]


@pytest.mark.parametrize("before", [0, BLOCK // 2])
def test_a_file_of_another_encoding_is_refused_with_the_line(before: int, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("é\n".encode() * before + b"fine\nna\xefve\n")
    line, offset = f"line {before + 2:d} ", f"byte {before * 3 + 7:,}"
    with pytest.raises(DataError, match=rf"a\.txt is not utf-8 on {line}.{offset}.: convert it, .*--encoding latin-1"):
        read(path)


def test_utf_16_is_recognized(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--encoding utf-16"):
        read(written(tmp_path / "a.txt", "Hello.", "utf-16"))


@pytest.mark.parametrize(
    ("table", "column", "documents"),
    [
        ("Hello.\nHow are you?\n", None, ["Hello.", "How are you?"]),
        ("text\nHello.\n", None, ["Hello."]),
        ("Tweets\nHello.\n", None, ["Hello."]),
        ("id,Body\n1,Hello.\n2,Bye.\n", None, ["Hello.", "Bye."]),
        ("text,body\nno,yes\n", None, ["yes"]),
        ("id,joke\n1,Hello.\n", "joke", ["Hello."]),
        ("lyrics\nLa la.\n", "lyrics", ["La la."]),
        ('text\n"Two\r\nlines, ""quoted"""\n\nNext.', None, ['Two\nlines, "quoted"', "Next."]),
        ('text\n"<|startoftext|>One.<|endoftext|>"\n""\n', None, ["One.", ""]),
    ],
)
def test_a_table_has_a_document_a_row(table: str, column: str | None, documents: list[str], tmp_path: Path) -> None:
    """Its first line is a header where it is asked for, where there are several columns, or where it is a usual name."""
    assert read(written(tmp_path / "a.csv", table), column) == documents


def test_a_tsv_has_tabs_between(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a.tsv", "id\ttext\n1\tHello, you.\n")) == ["Hello, you."]


def test_a_cell_may_be_large(tmp_path: Path) -> None:
    """Python's own limit is 131,072 characters."""
    assert len("".join(read(written(tmp_path / "a.csv", f"text\n{'word,' * 100_000}word".replace(",", " "))))) > 400_000


@pytest.mark.parametrize(
    ("table", "column", "sentence"),
    [
        ("id,body\n1,x\n", "text", "a.csv has no column 'text' in its first line, which has 'id', 'body'."),
        ("id,joke\n1,x\n", None, "2 columns, and none is called body or text: choose with --column: 'id', 'joke'."),
        ("text\nHello, you.\n", None, 'line 2: 2 columns, and the first line has 1: put "quotes" around a text'),
        ("id,text\n1\n", None, "line 2: 1 columns, and the first line has 2"),
        ('text\n"never closed\n', None, "line 2: unexpected end of data"),
        ('text\n"closed" twice\n', None, "line 2: ',' expected after '\"'"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused(table: str, column: str | None, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(written(tmp_path / "a.csv", table), column)
    assert sentence in str(error.value)


def test_a_line_of_json_is_a_text_or_a_conversation(tmp_path: Path) -> None:
    lines = [
        {"body": " A text. "},
        {"body": "Another.", "meta": "[VERDICT]"},
        {"body": "Third.", "meta": {"sub": "jokes", "score": 3}},
        {"turns": ["Hi!", "Hello."]},
        {"turns": ["Hi!", "  "]},
        {"body": ""},
        {"body": "<|endoftext|> is only text here."},
    ]
    path = written(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    assert read(path) == [
        "A text.", "[VERDICT] Another.", "[sub: jokes] [score: 3] Third.", "Hi!\nHello.", "", "",
        "<|endoftext|> is only text here.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"body": 1}', "Expected `str | null`, got `int` - at `$.body`"),
        ('{"turns": []}', "length >= 1 - at `$.turns`"),
        ('{"turns": ["a", null]}', "at `$.turns[1]`"),
        ('{"body": "a", "turns": ["a"]}', "it has both"),
        ('{"meta": "a"}', "it has neither"),
        ('{"Body": "a"}', "unknown field `Body`"),
        ('{"body": "\\ud800 alone"}', "surrogate"),
    ],
)
def test_a_wrong_line_of_json_is_refused(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(written(tmp_path / "a.jsonl", f'{{"body": "fine"}}\n{line}\n'))
    assert str(error.value).startswith(f"{tmp_path / 'a.jsonl'}, line 2: should be ")
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("text", [(Role.PROMPT, "a", False), (Role.REPLY, "\nb", False), (Role.TEXT, "\nc", True)]),
        ("qa", [
            (Role.PROMPT, "[QUESTION] a", False), (Role.REPLY, "\n[ANSWER] b", False), (Role.TEXT, "\n[QUESTION] c", True)
        ]),
        ("chat", [(Role.PROMPT, "a", True), (Role.REPLY, "b", True), (Role.TEXT, "c", True)]),
    ],
)  # fmt: skip
def test_a_template_puts_turns_with_their_roles(template: Template, parts: list[tuple[Role, str, bool]]) -> None:
    assert list(from_turns(["a", "b ", "c"], None, template)) == parts
    assert from_turns(["a"], None, template)[0].role is Role.TEXT
    meta, first, *_ = from_turns(["a", "b"], "code", template)
    assert (meta.role, meta.text, first.role, first.text) == (Role.META, "code", Role.PROMPT, f" {parts[0][1]}")


def test_an_archive_of_gpt_2_simple_is_read_back(vocabulary: Tokenizer, tmp_path: Path) -> None:
    """Its marks are seven ordinary tokens each; the real end of text is a border as well, and so is the end of an array."""
    marked = vocabulary.encode("<|startoftext|>Öne.<|endoftext|>\n<|startoftext|>Two.<|endoftext|>\n")
    real = [*vocabulary.encode("Three."), vocabulary.end_of_text, *vocabulary.encode("Four.")]
    np.savez_compressed(
        tmp_path / "a.npz", np.array(marked), np.array(real, np.uint16), np.array(vocabulary.encode("5"))
    )
    assert read(tmp_path / "a.npz", vocabulary=vocabulary) == ["Öne.", "Two.", "Three.", "Four.", "5"]


def test_an_archive_of_another_vocabulary_is_refused(vocabulary: Tokenizer, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.array([1, 40000]))
    with pytest.raises(DataError, match=r"a\.npz holds the token 40000, and the vocabulary has 300: .*--vocabulary"):
        read(tmp_path / "a.npz", vocabulary=vocabulary)
    first_half = next(token for token in range(300) if vocabulary.bytes_of(token) == b"\xc3")
    np.savez(tmp_path / "b.npz", np.array([first_half]))
    with pytest.raises(DataError, match=r"b\.npz is not text in this vocabulary"):
        read(tmp_path / "b.npz", vocabulary=vocabulary)


def test_an_archive_of_something_else_is_refused(vocabulary: Tokenizer, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.array([0.5]))
    written(tmp_path / "b.npz", "no archive")
    np.savez(tmp_path / "c.npz", np.array([{}], object))
    for name in "abc":
        with pytest.raises(DataError, match=rf"{name}\.npz was not written by gpt-2-simple's encode_dataset"):
            read(tmp_path / f"{name}.npz", vocabulary=vocabulary)


def test_files_folders_and_patterns_name_each_file_once_and_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.TXT", "deep/c.jsonl", "notes.md", ".hidden.txt", "deep/.git/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    paths, passed = find_files([f"{tmp_path}/*.txt", str(tmp_path), f"{tmp_path}/**/*.jsonl"])
    assert [str(path.relative_to(tmp_path)) for path in paths] == ["b.txt", "a.TXT", "deep/c.jsonl"]
    assert [path.name for path in passed] == ["notes.md"]


def test_an_input_that_is_nothing_or_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"lost\.txt matches no file"):
        find_files([f"{tmp_path}/lost.txt"])
    (tmp_path / "notes.md").touch()
    with pytest.raises(SettingError, match=r"notes\.md is none of \.txt, "):
        find_files([f"{tmp_path}/notes.md"])
    with pytest.raises(SettingError, match=r"holds no file that is \.txt, "):
        find_files([str(tmp_path)])
