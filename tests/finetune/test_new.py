"""`new`: from a text to a model in one command, which goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.engine.checkpoint_folder import open_checkpoint
from app.errors import MachineError, SettingError
from finetune.commands.new import followable, new
from finetune.commands.prepare import prepare_inputs
from finetune.data.input_files import find_files
from finetune.data.preparation import PreparationOptions
from finetune.data.prepared import read_description
from finetune.planning.finished_stages import data_made_of, finished_run, option_to_go_on, options_of_run
from finetune.planning.given_text import GivenText
from finetune.planning.machine import Machine
from finetune.planning.model_folders import ModelFolders, name_of
from finetune.planning.starting_weights import starting_weights
from finetune.planning.training_plan import TrainingTime
from finetune.run_folder import RunFolder
from finetune.training.options import TrainingOptions
from tests.conftest import SENTENCES, in_a_process_of_its_own
from tests.finetune.data.chats.exports import whatsapp

SMALL = Machine("CPU", 1_000_000_000, "float32")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which somebody has a text."""
    (tmp_path / "jokes.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trained(place: Path, base: Path, finished: Path) -> Path:
    """The same with a run that is trained, and prepared data for it."""
    shutil.copytree(finished, place / "checkpoint/jokes")
    return place


def test_what_is_not_made_yet_is_made(trained: Path, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new([str(base / "data")], out="jokes", json=True)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "data": str(base / "data"),
        "run": "checkpoint/jokes",
        "report": "reports/jokes",
        "bundle": "models/jokes",
    }
    assert "checkpoint/jokes is trained already. --steps 18 would go on." in printed.err
    assert printed.err.endswith("Now: gpt2 serve\nthen: gpt2 deploy\n")
    assert (trained / "models/DEFAULT").read_text() == "jokes\n"
    advice = json.loads((trained / "reports/jokes/report.json").read_text())["resume"]
    assert advice == f"gpt2 new {base}/data --out jokes --steps 18"
    made = {path: path.stat().st_mtime_ns for path in (trained / "models/jokes").iterdir()}
    new([str(base / "data")], out="jokes")
    assert made == {path: path.stat().st_mtime_ns for path in (trained / "models/jokes").iterdir()}
    assert ", write" not in capsys.readouterr().err, "nothing is evaluated or exported again"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"init": "scratch"},
            "--init is scratch and checkpoint/jokes began with .*: leave it out, or name a new model",
        ),
        ({"minutes": 0.0}, "--minutes is 0.0 and should be above 0"),
        ({"minutes": float("nan")}, "--minutes is nan and should be above 0"),
        ({"steps": 0}, "--steps is 0 and should be at least 1"),
    ],
)
def test_what_cannot_be_is_refused(trained: Path, base: Path, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        new([str(base / "data")], out="jokes", **arguments)
    assert not (trained / "reports").exists()


def test_a_run_that_had_too_little_time_is_offered_more(trained: Path, base: Path) -> None:
    run, data = RunFolder(Path("checkpoint/jokes")), read_description(base / "data")
    assert option_to_go_on(data, run, 15.0, 12) == "--minutes 30"
    assert option_to_go_on(data, run, 15.0, 10**6) == "--steps 1500000"
    assert option_to_go_on(data, run, 0.0, 12) == "--steps 18"


def test_another_text_is_not_trained_into_a_run(trained: Path, base: Path) -> None:
    """The name comes from the file, and a file may have changed. The data of the run was replaced, and lost to it."""
    shutil.copytree(base / "data", trained / "data/jokes")
    before = read_description(trained / "data/jokes")
    (trained / "jokes.txt").write_text("\n".join(SENTENCES[1:]), encoding="utf-8")
    with pytest.raises(SettingError, match="or how it is read, has changed since checkpoint/jokes was trained on it"):
        new(["jokes.txt"], split="lines")
    assert read_description(trained / "data/jokes") == before
    assert [path.name for path in (trained / "data").iterdir()] == ["jokes"]


@pytest.mark.parametrize("text", ["Tuna", "Tuna is a fish."])
def test_prepared_data_is_of_the_text_as_it_is_now(place: Path, text: str) -> None:
    """A text that was restored from a copy has an older date, and sometimes its size, and counted as prepared already."""
    path, options = place / "jokes.txt", GivenText(["jokes.txt"]).preparation(20, starting_weights("scratch", SMALL))
    path.write_text("Lion", encoding="utf-8")
    prepare_inputs(["jokes.txt"], Path("data/jokes"), options)
    files = find_files(["jokes.txt"])[0]
    assert data_made_of(files, options, Path("data/jokes"))
    path.write_text(text, encoding="utf-8")
    os.utime(path, (10**9, 10**9))
    assert not data_made_of(files, options, Path("data/jokes"))
    path.write_text("Lion", encoding="utf-8")
    assert data_made_of(files, options, Path("data/jokes"))
    (place / "data/jokes/train.tokens").unlink()
    assert not data_made_of(files, options, Path("data/jokes")), "it is prepared again, and not damaged for ever"


def test_who_the_model_is_counts(place: Path) -> None:
    """`--model-is` of a second call was ignored, and data of the first was taken. Who chose on a terminal is not asked again."""
    chosen = PreparationOptions(vocabulary_size=300, model_is=("Bob",))
    (place / "chat.txt").write_text(whatsapp(), encoding="utf-8")
    prepare_inputs(["chat.txt"], Path("data/chat"), chosen)
    files = find_files(["chat.txt"])[0]
    assert data_made_of(files, chosen, Path("data/chat"))
    assert data_made_of(files, replace(chosen, model_is=()), Path("data/chat"))
    assert not data_made_of(files, replace(chosen, model_is=("Anna",)), Path("data/chat"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"encoding": "cp1252"}, "--encoding is given, and data is prepared already: leave it out"),
        ({"model_is": ["Bob"]}, "--model-is is given, and data is prepared already: leave it out"),
    ],
)
def test_prepared_data_takes_no_options_of_a_text(
    base: Path, options: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(base)
    with pytest.raises(SettingError, match=sentence):
        new(["data"], **options)


def test_options_of_a_text_are_refused_before_weights_are_fetched(place: Path) -> None:
    with pytest.raises(SettingError, match="--column is 'joke', and no input is a "):
        new(["jokes.txt"], column=["joke"])
    with pytest.raises(SettingError, match="--encoding is 'klingon', and should be a text encoding"):
        new(["jokes.txt"], encoding="klingon")


def test_the_command_to_go_on_has_the_options_that_were_given() -> None:
    text = GivenText(["a b.csv"], model_is=("Anna", "Bo B"), column=("joke",), keep_names=True)
    assert text.command(ModelFolders("jokes")) == [
        "gpt2", "new", "a b.csv", "--out", "jokes", "--model-is", "Anna", "--model-is", "Bo B", "--column", "joke",
        "--keep-names",
    ]  # fmt: skip


@pytest.mark.parametrize(("resume", "said"), [(True, "--resume, and call"), (False, "checkpoint/y, and call")])
def test_advice_that_new_has_no_option_for_names_the_command_that_has(trained: Path, resume: bool, said: str) -> None:
    """`new` said "give --batch-size 1", which it does not take."""
    options = TrainingOptions(data=Path("data/x"), out=Path("checkpoint/jokes" if resume else "checkpoint/y"))
    error = followable(MachineError("there is not enough memory: give --batch-size 1."), options)
    assert str(error).startswith(
        "there is not enough memory: give --batch-size 1. Here, `new` chose the options: change them in gpt2 train"
    )
    assert said in str(error)
    same = SettingError("give a new --out.")
    assert followable(same, options) is same


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_training_says_how_to_go_on(
    number: signal.Signals, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM ended without a word, and Ctrl-C did not say that the same command goes on."""
    os.mkfifo(place / "pipe.txt")

    def interrupt() -> None:
        with (place / "pipe.txt").open("wb", buffering=0) as pipe:
            pipe.write(b"x" * 100_000)  # More than a pipe holds, so `prepare` reads it now, and waits for the rest.
            while not ended.wait(0.3):
                signal.pthread_kill(main_thread, number)

    main_thread = threading.get_ident()
    ended, writer = threading.Event(), threading.Thread(target=interrupt)
    writer.start()
    with pytest.raises(SystemExit) as exit_:
        new(["jokes.txt", "pipe.txt"], init="scratch")
    ended.set()
    writer.join()
    assert exit_.value.code == 128 + number
    assert capsys.readouterr().err.endswith("nothing is half-written. To go on: the same command\n")
    assert not list((place / "data").iterdir())


@pytest.mark.parametrize(
    ("changes", "time", "goes_on"),
    [
        ({"minutes": 15.0}, TrainingTime(15.0), None),
        ({"minutes": 15.0}, TrainingTime(30.0), {"minutes": 30.0, "steps": 140}),
        ({"minutes": 15.0}, TrainingTime(15.0, 40), {"minutes": 0.0, "steps": 40}),
        ({"minutes": 0.0, "steps": 12}, TrainingTime(15.0), None),
        ({"minutes": 0.0}, TrainingTime(30.0), {"minutes": 0.0, "steps": 20}),
    ],
    ids=["minutes over", "more minutes", "steps", "steps reached", "steps left"],
)
def test_a_run_that_has_ended_goes_on_with_more_time(
    trained: Path, base: Path, changes: dict[str, Any], time: TrainingTime, goes_on: dict[str, Any] | None
) -> None:
    """The run is at step 12 of 20, and its minutes were over there."""
    run, data = RunFolder(Path("checkpoint/jokes")), read_description(base / "data")
    begun = run.description
    assert begun is not None
    begun = msgspec.structs.replace(begun, options=begun.options | {"steps": 20} | changes)
    options = options_of_run(begun, data, run, base / "data", time)
    ended = finished_run(run, begun, options)
    if goes_on is None:
        assert ended is not None
        assert ended.complete
    else:
        assert ended is None
        assert {name: getattr(options, name) for name in goes_on} == goes_on


@pytest.mark.parametrize(
    ("given", "name"),
    [("texts/jokes.csv.gz", "jokes"), ("my best jokes!.txt", "my-best-jokes"), ("data/jokes/", "jokes")],
)
def test_a_model_is_named_after_its_text(given: str, name: str) -> None:
    assert name_of(given) == name


@pytest.mark.parametrize(
    "out", ["../evil", "models/jokes", "/tmp/jokes", "", ".", "..", "-x", "two\nlines", "DEFAULT", "n\udcff", "n" * 200]
)
def test_out_is_a_name(trained: Path, base: Path, out: str) -> None:
    """`--out ../evil` wrote four folders beside data/, checkpoint/, reports/ and models/."""
    with pytest.raises(SettingError, match=r"--out is .*, and should be a name such as jokes"):
        new([str(base / "data")], out=out)


def test_a_folder_of_something_else_is_refused_before_training(place: Path) -> None:
    """It was refused after it, by `export`."""
    (place / "models/jokes").mkdir(parents=True)
    (place / "models/jokes/holiday.jpg").touch()
    with pytest.raises(SettingError, match="models/jokes is there and holds something else: name the model with --out"):
        new(["jokes.txt"], init="scratch")
    assert not (place / "data").exists()


def test_a_text_without_a_name_needs_one() -> None:
    with pytest.raises(SettingError, match=r"\*.txt gives the model no name: name it with --out"):
        name_of("*.txt")


def test_a_misspelt_text_is_refused_before_weights_are_fetched(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingError, match=r"joke\.txt matches no file"):
        new(["joke.txt"])
    assert "124M" not in capsys.readouterr().out


def test_what_is_too_large_for_the_machine_is_not_fetched(place: Path) -> None:
    weights = starting_weights(None, SMALL)
    assert weights.init == "scratch"
    assert weights.hparams is None
    assert weights.told.startswith("124M takes 5 GB of memory to train, and less is free: a small model is trained")
    assert starting_weights("scratch", SMALL).told == ""


def test_the_weights_that_are_named_are_taken(base: Path) -> None:
    weights = starting_weights(str(base / "init"), SMALL)
    assert weights.hparams == open_checkpoint(base / "init").hparams


def made(steps: int) -> int:
    """The step that the run reaches."""
    new(["jokes.txt"], init="scratch", steps=steps, split="lines")
    return open_checkpoint(Path("checkpoint/jokes")).step


@pytest.mark.slow
def test_a_text_becomes_a_model_which_can_be_trained_on(place: Path) -> None:
    assert in_a_process_of_its_own(made, 3) == 3
    assert read_description(place / "data/jokes").documents["validation"] > 0
    assert (place / "reports/jokes/report.html").is_file()
    prepared_at = (place / "data/jokes").stat().st_mtime_ns
    assert in_a_process_of_its_own(made, 5) == 5
    assert (place / "data/jokes").stat().st_mtime_ns == prepared_at
    assert json.loads((place / "models/jokes/manifest.json").read_text())["training"]["step"] == 5
