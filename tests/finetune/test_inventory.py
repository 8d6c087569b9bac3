"""`list`, `show`, `rm` and `use`: what there is, and what a name means."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.engine.bundle import BATCH, FILES
from app.engine.checkpoint_folder import open_checkpoint
from finetune.__main__ import main
from finetune.checkpoint import count_parameters, read_weights
from finetune.openai_shapes import SHAPES
from finetune.run_folder import LogEntry, RunDescription, RunFolder, RunSave
from tests.conftest import write_tiny
from tests.finetune.watch.progress import in_training


def write_run(folder: Path, source: Path) -> None:
    """Two saves, at 8 and 12 steps, of which the first is the best."""
    checkpoint = open_checkpoint(source)
    description = RunDescription(
        corpus_sha256="0" * 64,
        end=1,
        template="text",
        init="scratch",
        options={"steps": 20},
        made={},
        documents={"train": 9},
    )
    log = [
        LogEntry(step=step, train=3.0, validation=loss, learning_rate=1e-4, tokens_per_second=100.0, seconds=60.0)
        for step, loss in ((8, 2.5), (12, 2.75))
    ]
    for number, step in enumerate((8, 12)):
        folder.mkdir(parents=True, exist_ok=True)
        RunFolder(folder).write_log(log[: number + 1])
        RunFolder(folder).save(
            RunSave(
                step=step, hparams=checkpoint.hparams, weights=read_weights(checkpoint), vocabulary=source, state={},
                description=description, log=log[: number + 1], best=step == 8,
            )
        )  # fmt: skip


@pytest.fixture(scope="module")
def made(checkpoint: Path, bundles: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_run(folder / "checkpoint/jokes", checkpoint)
    shutil.copytree(folder / "checkpoint/jokes", folder / "checkpoint/cats")
    shutil.copytree(bundles[8], folder / "models/jokes")
    shutil.copytree(bundles[4], folder / "models/small")
    write_tiny(folder / "models/124M")
    for path in (folder / "models/124M").glob("*7.*"):
        path.rename(path.with_name(path.name.replace("model-7", "model.ckpt")))
    (folder / "models/124M/checkpoint").write_text('model_checkpoint_path: "model.ckpt"\n')
    (folder / "models/notes").mkdir()
    (folder / "models/notes/todo.txt").write_text("mine")
    (folder / "data").mkdir()
    (folder / "data/x").write_text("mine")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = Path(shutil.copytree(made, tmp_path / "project"))
    monkeypatch.chdir(project)
    return project


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main([*arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main([*arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("error: ").strip()


def test_parameters_are_counted_as_openai_counts_them() -> None:
    assert [round(count_parameters(shape) / 1e6) for shape in SHAPES.values()] == [124, 355, 774, 1558]


def test_everything_is_listed_and_the_default_is_marked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "use", "jokes")
    lines = said(capsys, "list").splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [
        "models/124M",
        "*",
        "models/small",
        "checkpoint/cats",
        "checkpoint/jokes",
    ]
    assert lines[2].split()[:3] == ["*", "models/jokes", "bundle"]
    assert lines[-1] == "* is the default: what is served and deployed."
    assert re.search(r"checkpoint/jokes +run +\d+k +3 layers, 32 wide +12 +2\.500 +\d+\.\d kB +20\d\d-", lines[5])


def test_a_script_reads_the_list(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "use", "jokes")
    listed = {model["name"]: model for model in json.loads(said(capsys, "list", "--json"))}
    assert {name: model["kind"] for name, model in listed.items()} == {
        "models/124M": "checkpoint", "models/jokes": "bundle", "models/small": "bundle", "checkpoint/cats": "run",
        "checkpoint/jokes": "run",
    }  # fmt: skip
    assert [name for name, model in listed.items() if model["default"]] == ["models/jokes"]
    run = listed["checkpoint/jokes"]
    assert (run["step"], run["validation_loss"], run["hparams"]["n_layer"]) == (12, 2.5, 3)
    assert run["bytes"] == sum(path.stat().st_size for path in Path("checkpoint/jokes").rglob("*") if path.is_file())
    assert not run["training"]


def test_an_empty_folder_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "`gpt2 new FILE` makes one" in said(capsys, "list")
    assert json.loads(said(capsys, "list", "--json")) == []


def test_what_is_damaged_is_listed_and_says_why(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "models/jokes/manifest.json").write_text("{")
    (project / "checkpoint/jokes/hparams.json").write_text("{")
    (project / "checkpoint/cats/log.csv").write_bytes(b"\xff")
    (project / "checkpoint/cats/best/log.csv").write_bytes(b"\xff")
    (project / "models/DEFAULT").write_text("gone\n")
    printed = said(capsys, "list")
    assert "models/jokes: models/jokes/manifest.json is not a bundle's manifest" in printed
    assert "checkpoint/jokes: checkpoint/jokes/hparams.json does not describe a GPT-2" in printed
    assert "checkpoint/cats: checkpoint/cats/best/log.csv is not the log of a run" in printed
    assert "*" not in printed
    (project / "checkpoint/cats").rename(project / "checkpoint/cats\x1b[2J")
    assert "checkpoint/cats�[2J: checkpoint/cats" in said(capsys, "list")


def test_a_run_without_a_save_and_one_that_trains(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (project / "checkpoint/cats").glob("*"):
        if path.name != "description.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with in_training(project / "checkpoint/cats"):
        printed = said(capsys, "list")
    assert "checkpoint/cats: there is no save yet." in printed
    assert "checkpoint/cats is being trained now." in printed
    assert "there is no save yet." in said(capsys, "show", "cats")


def test_all_of_a_run_is_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = said(capsys, "show", "checkpoint/jokes")
    for line in (
        r"step +12", r"validation loss +2\.500 nats per token", r"save +checkpoint/jokes/model-12, .* loss 2\.750, the newest",
        r"save +checkpoint/jokes/best/model-8, .* loss 2\.500, the best", r"options\.steps +20", r"documents\.train +9",
        r"training loss +3\.000 nats per token at step 12", r"file +best/model-8\.index, ",
    ):  # fmt: skip
        assert re.search(line, printed), line
    shown = json.loads(said(capsys, "show", "checkpoint/jokes", "--json"))
    assert [save["path"] for save in shown["saves"]] == [
        "checkpoint/jokes/model-8", "checkpoint/jokes/model-12", "checkpoint/jokes/best/model-8",
    ]  # fmt: skip
    assert shown["description"]["options"] == {"steps": 20}


def test_all_of_a_bundle_is_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "use", "jokes")
    printed = said(capsys, "show", "models/jokes/")
    for line in (
        r"models/jokes +a bundle, the default",
        r"bits +8",
        r"parity\.mean_kl +",
        r"file +model\.onnx\.data, \d",
    ):
        assert re.search(line, printed), line
    shown = json.loads(said(capsys, "show", "models/jokes", "--json"))
    assert shown["manifest"] == json.loads((project / "models/jokes/manifest.json").read_text())
    assert set(shown["files"]) == {"manifest.json", *FILES, *BATCH}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("jokes", "jokes could be models/jokes and checkpoint/jokes: write which."),
        ("jkes", "'jkes' is no bundle and no run and no checkpoint here: did you mean models/jokes?"),
        ("models/smal", "'models/smal' is no bundle and no run and no checkpoint here: did you mean models/small?"),
        ("models/notes", "'models/notes' is no bundle and no run and no checkpoint here: did you mean models/jokes?"),
        ("zzz", "'zzz' is no bundle and no run and no checkpoint here: `gpt2 list` shows what there is."),
        ("", "'' is no bundle and no run and no checkpoint here: `gpt2 list` shows what there is."),
    ],
)
def test_a_name_that_means_nothing_or_two_things(
    name: str, sentence: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["show", name, "--json"], ["rm", name]):
        assert refused(capsys, *command) == sentence


def test_a_run_and_its_bundle_are_shown_together(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message asked which of the two, where both cost nothing to show."""
    assert re.match(r"(?s)models/jokes .*\n\ncheckpoint/jokes ", said(capsys, "show", "jokes"))


def test_what_can_be_chosen(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "use", "./models/small/")
    assert (project / "models/DEFAULT").read_text() == "small\n"
    assert refused(capsys, "use", "cats") == (
        "checkpoint/cats is a run, not a bundle: `gpt2 export checkpoint/cats/best models/cats` makes one of it."
    )
    assert refused(capsys, "use", "124M").startswith("models/124M is a checkpoint, not a bundle: ")
    shutil.copytree("models/small", "elsewhere/small")
    assert refused(capsys, "use", "elsewhere/small").startswith("elsewhere/small is not right in models")
    (project / "models/jokes/model.onnx").unlink()
    assert refused(capsys, "use", "models/jokes").startswith("models/jokes/model.onnx is missing")
    assert (project / "models/DEFAULT").read_text() == "small\n"


# rm


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(text))


def test_it_says_what_goes_and_asks(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("n\n", "", "\n"):
        answer(monkeypatch, text)
        with pytest.raises(SystemExit) as ended:
            main(["rm", "cats"])
        assert ended.value.code == 1
        printed = capsys.readouterr()
        assert printed.out.startswith("checkpoint/cats: a run at step 12, ")
        assert printed.err == "Delete? [y/N] nothing was deleted.\n"
        assert (project / "checkpoint/cats").is_dir()
    answer(monkeypatch, "y\n")
    assert said(capsys, "rm", "cats").endswith("deleted checkpoint/cats\n")
    assert [path.name for path in (project / "checkpoint").iterdir()] == ["jokes"]


def test_without_a_terminal_it_deletes_nothing_unless_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert refused(capsys, "rm", "cats") == "nobody is here to be asked, so nothing was deleted: add --yes."
    assert (project / "checkpoint/cats").is_dir()
    said(capsys, "rm", "cats", str(project / "checkpoint/cats"), "models/small", "--yes")
    assert not (project / "checkpoint/cats").exists()
    assert sorted(path.name for path in (project / "models").iterdir()) == ["124M", "jokes", "notes"]


def test_what_is_neither_a_run_nor_a_bundle_is_never_deleted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(project.rglob("*"))
    for name in (
        ".",
        "..",
        "models",
        "checkpoint",
        "data",
        "models/notes",
        "/",
        str(project),
        "models/../data",
        "checkpoint/jokes/events",
    ):
        refused(capsys, "rm", "cats", name, "--yes")
    assert refused(capsys, "rm", "checkpoint/jokes/best", "--yes").startswith("checkpoint/jokes/best is not right in")
    (project / "checkpoint/link").symlink_to(project / "checkpoint/jokes")
    assert refused(capsys, "rm", "link", "--yes").startswith("checkpoint/link is a link to ")
    (project / "checkpoint/link").unlink()
    assert sorted(project.rglob("*")) == before


def test_the_default_and_a_run_that_trains_are_warned_of(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "use", "jokes")
    shutil.copytree("models/small", "models/starter")
    with in_training(project / "checkpoint/jokes"):
        printed = said(capsys, "rm", "models/jokes", "checkpoint/jokes", "--yes")
    assert "warning: models/jokes is the default: it is what is served and deployed." in printed
    assert "warning: checkpoint/jokes is being trained now." in printed
    assert printed.endswith("deleted models/jokes, checkpoint/jokes\nmodels/starter is the default now\n")
    assert not (project / "models/DEFAULT").exists()
    said(capsys, "use", "small")
    shutil.copytree("checkpoint/cats", "checkpoint/run1")
    printed = said(capsys, "rm", "small", "--yes")
    assert printed.endswith("models/starter is the default now, and a container would be built of checkpoint/run1\n")
    printed = said(capsys, "rm", "starter", "checkpoint/run1", "--yes")
    assert printed.endswith("there is no default now: `gpt2 list` shows what there is, `gpt2 use NAME` chooses\n")
