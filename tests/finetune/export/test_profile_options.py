"""`export` writes how a model wants to be used: as its options say, else as its training data and its import do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.engine.bundle import read_manifest
from app.engine.checkpoint_folder import CheckpointFolder, open_checkpoint
from app.engine.profile import Profile, SamplingDefaults
from app.errors import CheckpointError, SettingError
from finetune.__main__ import main
from finetune.commands.prepare import prepare
from finetune.data.prepared import open_data
from finetune.export.beginnings import choose_beginnings
from finetune.export.profile_options import ProfileOptions
from finetune.run_folder import RunDescription, RunFolder

TALK = [
    ["Hello, is anybody there?", "Yes."],
    ["What is your favourite colour?", "Blue."],
    ["Write to me at ann@example.org, please", "Yes."],
    ["Call 0171 2345678 now", "No."],
    ["hm", "Yes."],
    ["Are you a duck or a goose?", "Neither."],
    ["Are you a duck or a swan?", "Neither."],
    ["Shall we cross the road?", "No."],
]


@pytest.fixture
def run(checkpoint: Path, tmp_path: Path) -> Path:
    """A run that was trained on conversations, as far as `export` can tell."""
    lines = (json.dumps({"turns": turns}) + "\n" for turns in TALK)
    (tmp_path / "talk.jsonl").write_text("".join(lines), encoding="utf-8")
    data = tmp_path / "data"
    prepare(
        [str(tmp_path / "talk.jsonl")],
        out=data,
        vocabulary=checkpoint,
        template=r"[USER] %\n[BOT] %",
        validation=0,
        near_duplicates=0,
    )
    folder = tmp_path / "run"
    shutil.copytree(checkpoint, folder)
    described = open_data(data).description
    RunFolder(folder).describe(
        RunDescription(
            corpus_sha256=described.corpus_sha256,
            end=0,
            template=described.template,
            init="scratch",
            options={"data": str(data)},
            made={},
        )
    )
    return folder


def profile(run: Path, options: ProfileOptions | None = None) -> Profile:
    source: CheckpointFolder = open_checkpoint(run)
    return (options or ProfileOptions()).profile(source)


def test_template_and_beginnings_are_those_of_the_training_data(run: Path) -> None:
    """The beginnings are whole first messages, different ones, without addresses and telephone numbers."""
    found = profile(run)
    assert found.template == "[USER] %\n[BOT] %"
    assert found.beginnings == [
        "Hello, is anybody there?",
        "What is your favourite colour?",
        "Are you a duck or a goose?",
        "Shall we cross the road?",
    ]


def test_data_that_is_gone_or_another_has_no_beginnings_of_this_model(run: Path, checkpoint: Path) -> None:
    data = run.parent / "data"
    prepare([str(run.parent / "talk.jsonl")], out=data, vocabulary=checkpoint, min_tokens=12)
    assert profile(run).beginnings == []
    shutil.rmtree(data)
    assert profile(run).beginnings == []
    assert profile(run, ProfileOptions(beginning=["Why?", "Who?"])).beginnings == ["Why?", "Who?"]


def beginnings_of(text: str, checkpoint: Path, folder: Path) -> list[str]:
    (folder / "text.txt").write_text(text, encoding="utf-8")
    prepare([str(folder / "text.txt")], out=folder / "data", vocabulary=checkpoint, validation=0, near_duplicates=0)
    return choose_beginnings(open_data(folder / "data"))


def test_lines_are_cut_where_the_model_is_to_go_on(checkpoint: Path, tmp_path: Path) -> None:
    """One long text has its paragraphs, and no two beginnings have the same first word."""
    text = (
        "The duck crossed the road, since it had a bill to pay on the other side.\n\nThe road was long.\n\nTHE END OF IT\n\n"
        "Nobody knows why the chicken did it, too.\n\nWhy not, says the duck.\n\nA bill is a bill.\n\n1 2 3\n\n\nYes."
    )
    assert beginnings_of(text, checkpoint, tmp_path) == [
        "The duck crossed the road, since it had",
        "Nobody knows why the chicken did it, too.",
        "Why not, says the duck.",
        "A bill is a bill.",
    ]


def test_a_text_without_plain_lines_has_none(checkpoint: Path, tmp_path: Path) -> None:
    assert beginnings_of("<html><body>\n\n{{x}}\n\nYes.", checkpoint, tmp_path) == []


def test_the_options_of_the_command_line(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [
        "export",
        "--checkpoint",
        str(checkpoint),
        "--out",
        str(out),
        "--title",
        "Ducks",
        "--about",
        "All ducks.",
        "--accent",
        "#0a6b3d",
    ]
    arguments += ["--template", r"Q: %\nA: %", "--questions", "qa", "--beginning", "Why?", "--beginning", "Who?"]
    assert main([*arguments, "--temperature", "0.5", "--top-p", "0.9", "--top-k", "40", "--length", "30"]) == 0
    manifest = read_manifest(out)
    assert (manifest.title, manifest.about, manifest.accent) == ("Ducks", "All ducks.", "#0a6b3d")
    assert (manifest.template, manifest.questions) == ("Q: %\nA: %", "qa")
    assert manifest.beginnings == ["Why?", "Who?"]
    assert manifest.sampling == SamplingDefaults(temperature=0.5, top_p=0.9, top_k=40, length=30)


def test_without_options_the_manifest_says_what_it_said_before(checkpoint: Path, bundles: dict[int, Path]) -> None:
    written = json.loads((bundles[8] / "manifest.json").read_text())
    assert not {"title", "about", "accent", "questions", "sampling", "beginnings"} & set(written)
    assert read_manifest(bundles[8]).template == "text"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"template": "[USER] %"}, "--template is '[USER] %': give text, qa, chat, or a tag before each of two %"),
        ({"questions": "quiz"}, "--questions is 'quiz': give text, qa, chat"),
        ({"temperature": -1.0}, "--temperature is -1.0 and should be at least 0"),
        ({"top_p": float("nan")}, "--top-p is nan"),
        ({"length": 0}, "--length is 0 and should be at least 1"),
        ({"title": "x" * 61}, "--title is 'x"),
        ({"about": "two\nlines"}, "--about is 'two\\nlines': expected one line"),
        ({"accent": "green"}, "--accent is 'green': expected a colour such as #2438a8."),
        ({"accent": "#ffdd00"}, "--accent is #ffdd00, which cannot be read on light paper: expected a darker colour"),
        ({"beginning": [""]}, "--beginning has '': expected 1 to 300 characters."),
        ({"beginning": ["x"] * 9}, "--beginning has 9 texts: expected at most 8."),
    ],
)
def test_nonsense_is_one_sentence_that_names_the_option(
    checkpoint: Path, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SettingError) as refused:
        profile(checkpoint, ProfileOptions(**options))  # type: ignore[arg-type]
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


def test_the_defaults_of_an_import_are_the_models(run: Path) -> None:
    """An option overrides one of them."""
    (run / "generation_config.json").write_text(
        '{"do_sample": true, "temperature": 0.6, "top_p": 0.9, "max_new_tokens": 50, "eos_token_id": 0}'
    )
    expected = SamplingDefaults(temperature=0.6, top_p=0.95, length=50)
    assert profile(run, ProfileOptions(top_p=0.95)).sampling == expected
    for wrong in ('{"top_p": 7}', "[]", "{"):
        (run / "generation_config.json").write_text(wrong)
        with pytest.raises(CheckpointError, match=r"generation_config.json .*: correct it, or delete it\."):
            profile(run)
