"""The model that was made last is what is served, sent and built; nothing else of models/ and checkpoint/ is sent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.engine.default_bundle import default_bundle
from app.engine.default_bundle import main as print_deployed
from app.errors import BundleError
from finetune.__main__ import main
from finetune.build_context import BLOCK, IGNORE_FILES, send_default
from finetune.default_choice import choose_default, forget_default
from tests.conftest import ROOT
from tests.deploy.build_ignores import sent_by_docker, sent_by_gcloud

BUNDLE = {"manifest.json", "model.onnx", "model.onnx.data", "batch.onnx", "batch.onnx.data", "tokenizer.json"}
RUN = {
    "checkpoint", "counter", "description.json", "encoder.json", "events/events.out", "hparams.json", "log.csv", "loss.png",
    "model-5.data-00000-of-00001", "model-5.index", "model-5.meta", "model-7.data-00000-of-00001", "model-7.index",
    "model-7.meta", "samples.txt", "training-5.npz", "training-7.npz", "vocab.bpe", "best/checkpoint", "best/model-5.index",
    "best/hparams.json", "best/model-5.data-00000-of-00001",
}  # fmt: skip
NAMES = ["starter", "my [best]* jokes", "!a", "#a", r"a\b?", "a]{b,c}", "é ü"]
NEEDED = {
    "checkpoint", "description.json", "encoder.json", "hparams.json", "log.csv", "model-7.data-00000-of-00001", "model-7.index",
    "vocab.bpe",
}  # fmt: skip


def write(folder: Path, names: set[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('model_checkpoint_path: "model-7"\n' if name == "checkpoint" else "x")


@pytest.fixture
def project(tmp_path: Path, bundles: dict[int, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in which much was made: bundles, runs, OpenAI's weights. Nothing was chosen."""
    for name in (*IGNORE_FILES, ".cloudbuildignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("jokes", "other", *NAMES):
        shutil.copytree(bundles[8], tmp_path / "models" / name)
    write(
        tmp_path / "models/124M", {"model.ckpt.index", "model.ckpt.data-00000-of-00001", "hparams.json", "encoder.json"}
    )
    write(tmp_path / "checkpoint/run1", RUN)
    write(tmp_path / "checkpoint/jokes", RUN)
    write(
        tmp_path,
        {"app/__main__.py", "finetune/__main__.py", "requirements/container.txt", "LICENSE", "Dockerfile", "data/x"},
    )
    monkeypatch.chdir(tmp_path)
    forget_default()
    return tmp_path


def of_models(sent: set[str]) -> set[str]:
    return {path for path in sent if path.startswith(("models/", "checkpoint/"))}


def inside(folder: str, names: set[str]) -> set[str]:
    return {f"{folder}/{name}" for name in names}


SENT: list[Callable[[Path], set[str]]] = [sent_by_gcloud, sent_by_docker]


def test_the_tracked_ignore_files_are_those_of_a_project_without_a_choice(project: Path) -> None:
    for name in IGNORE_FILES:
        assert len(BLOCK.findall((project / name).read_text())) == 1
    shutil.rmtree(project / "checkpoint")
    send_default()
    before = {name: (project / name).read_text() for name in IGNORE_FILES}
    choose_default(Path("models/jokes"))
    assert all((project / name).read_text() != before[name] for name in IGNORE_FILES)
    forget_default()
    assert {name: (project / name).read_text() for name in IGNORE_FILES} == before


@pytest.mark.parametrize("sent", SENT)
def test_only_the_chosen_bundle_is_sent(project: Path, sent: Callable[[Path], set[str]]) -> None:
    """3.5 GB went up, and the starter was served."""
    choose_default(Path("models/jokes"))
    everything = sent(project)
    assert of_models(everything) == {"models/DEFAULT", *inside("models/jokes", BUNDLE)}
    assert {"app/__main__.py", "finetune/__main__.py", "requirements/container.txt", "LICENSE"} <= everything
    assert "data/x" not in everything


@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("name", NAMES)
def test_any_bundle_can_be_chosen(project: Path, name: str, sent: Callable[[Path], set[str]]) -> None:
    assert main(["use", f"models/{name}/"]) == 0
    assert of_models(sent(project)) == {"models/DEFAULT", *inside(f"models/{name}", BUNDLE)}


@pytest.mark.parametrize("sent", SENT)
def test_without_a_choice_the_starter_and_the_newest_save_of_run1_are_sent(
    project: Path, sent: Callable[[Path], set[str]]
) -> None:
    assert of_models(sent(project)) == inside("models/starter", BUNDLE) | inside("checkpoint/run1", NEEDED)
    write(project / "checkpoint/run1", {"model-9.index"})
    assert "checkpoint/run1/model-9.index" in sent(project), "a save that came later"


def test_the_pipeline_gets_the_starter_for_its_tests(project: Path) -> None:
    choose_default(Path("models/jokes"))
    more = sent_by_gcloud(project, ".cloudbuildignore") - sent_by_gcloud(project)
    assert more == inside("models/starter", BUNDLE)


def test_other_files_of_a_bundles_folder_stay(project: Path) -> None:
    """A model that was exported into its own folder has its weights there too."""
    write(project / "models/124M", BUNDLE)
    choose_default(Path("models/124M"))
    for sent in (sent_by_gcloud(project), sent_by_docker(project)):
        assert not {path for path in sent if "model.ckpt" in path}


def deployed(capsys: pytest.CaptureFixture[str], named: str = "") -> str:
    code = print_deployed(named)
    printed = capsys.readouterr()
    assert (code, bool(printed.out)) in {(0, True), (2, False)}
    return printed.out.strip() or printed.err.strip()


def test_what_an_image_serves(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deployed(capsys) == "checkpoint/run1"
    assert default_bundle() == Path("models/starter")
    choose_default(Path("models/jokes"))
    assert deployed(capsys) == str(default_bundle()) == "models/jokes"
    assert deployed(capsys, "other") == deployed(capsys, "models/other") == "models/other"
    shutil.rmtree(project / "checkpoint")
    forget_default()
    assert deployed(capsys) == "models/starter"
    shutil.rmtree(project / "models/starter")
    assert deployed(capsys).startswith(
        "error: there is no models/DEFAULT and no bundle in models/starter: `gpt2 new FILE` makes one"
    )
    assert deployed(capsys, "mine").startswith(
        "error: MODEL is mine, and there is no bundle in models/mine: `gpt2 use NAME`"
    )


def test_a_chosen_bundle_that_is_gone_is_never_replaced_by_the_starter(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choose_default(Path("models/jokes"))
    shutil.rmtree(project / "models/jokes")
    assert deployed(capsys).startswith(
        "error: models/DEFAULT names jokes, and there is no bundle in models/jokes: `gpt2 use"
    )
    with pytest.raises(BundleError):
        default_bundle()


@pytest.mark.parametrize("content", [b"", b"a/b\n", b"..\n", b"jokes\nother\n", b"\xff\xfe", b"models/jokes\n"])
def test_a_file_that_names_no_bundle_is_refused(
    project: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "models/DEFAULT").write_bytes(content)
    assert deployed(capsys).startswith("error: models/DEFAULT ")
    with pytest.raises(BundleError):
        default_bundle()


@pytest.mark.parametrize("content", [b"jokes", b"\xef\xbb\xbfjokes\r\n", b" jokes \n"])
def test_a_file_that_was_written_by_hand_is_read(project: Path, content: bytes) -> None:
    (project / "models/DEFAULT").write_bytes(content)
    assert default_bundle() == Path("models/jokes")


@pytest.mark.slow
def test_the_export_is_what_is_served(
    project: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """README's commands ended with models/jokes, and `gcloud run deploy --source .` put the starter online without a word."""
    assert main(["export", str(checkpoint), "models/mine"]) == 0
    assert "models/mine is the default now" in capsys.readouterr().out
    assert (project / "models/DEFAULT").read_text() == "mine\n"
    assert deployed(capsys) == str(default_bundle()) == "models/mine"
    for sent in (sent_by_gcloud(project), sent_by_docker(project)):
        assert of_models(sent) == {"models/DEFAULT", *inside("models/mine", BUNDLE)}


def test_a_bundle_that_is_a_link_is_chosen_here(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "models/linked"
    shutil.copytree(project / "models/jokes", elsewhere)
    (project / "models/linked").symlink_to(elsewhere)
    assert main(["use", "linked"]) == 0
    assert (project / "models/DEFAULT").read_text() == "linked\n"
    assert not (elsewhere.parent / "DEFAULT").exists()


def test_an_export_elsewhere_chooses_nothing(project: Path, checkpoint: Path) -> None:
    assert main(["export", str(checkpoint), "elsewhere/mine"]) == 0
    assert not (project / "models/DEFAULT").exists()
    assert not (project / "elsewhere/DEFAULT").exists()


def test_a_name_that_fills_two_lines_is_refused_before_the_export(
    project: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(checkpoint), "models/DEFAULT"]) == 2
    assert main(["export", str(checkpoint), "models/two\nlines"]) == 2
    assert "has a name that models/DEFAULT cannot hold" in capsys.readouterr().err
    assert not (project / "models/two\nlines").exists()


def edited(text: str, end: str) -> str:
    return "mine/\n" + text.replace("\n", end) + "# caf\udce9\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "  \n"])
def test_what_somebody_wrote_around_the_lines_stays(project: Path, end: str) -> None:
    """A byte that is not UTF-8 ended in a traceback, and a space behind the marks left the old model to be sent."""
    for name in IGNORE_FILES:
        path = project / name
        path.write_bytes(edited(path.read_text(encoding="utf-8"), end).encode("utf-8", "surrogateescape"))
    choose_default(Path("models/jokes"))
    for name in IGNORE_FILES:
        written = (project / name).read_bytes()
        assert written.count(b"!/models/jokes/\n") == 1
        assert b"run1" not in written
        assert written.startswith(b"mine/\n")
        assert written.endswith(b"# caf\xe9\n")


def test_lost_marks_are_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file was left alone without a word, and the build then lacked the model."""
    path = project / ".gcloudignore"
    path.write_text(BLOCK.sub("", path.read_text(encoding="utf-8")), encoding="utf-8")
    choose_default(Path("models/jokes"))
    said = capsys.readouterr().err
    assert said.startswith("note: .gcloudignore has lost the two lines")
    assert "add !/models/jokes/ to its end" in said
    with path.open("a", encoding="utf-8") as file:
        file.write("!/models/jokes/\n")
    send_default()
    assert not capsys.readouterr().err


def test_an_ignore_file_that_is_a_link_stays_one(project: Path) -> None:
    (project / ".gcloudignore").rename(project / "shared")
    (project / ".gcloudignore").symlink_to("shared")
    choose_default(Path("models/jokes"))
    assert (project / ".gcloudignore").is_symlink()
    assert "!/models/jokes/" in (project / "shared").read_text(encoding="utf-8")


def test_a_default_that_is_a_link_to_nothing_or_a_folder_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such a link counted as no choice, and the starter stood in."""
    default = project / "models/DEFAULT"
    default.symlink_to("nowhere")
    with pytest.raises(BundleError, match="cannot be read"):
        default_bundle()
    default.unlink()
    default.mkdir()
    with pytest.raises(BundleError, match=r"models/DEFAULT cannot be read \(Is a directory\): remove it"):
        default_bundle()
    assert main(["use", "jokes"]) == 2
    assert "models/DEFAULT: Is a directory" in capsys.readouterr().err


def test_two_that_choose_at_once_agree(project: Path) -> None:
    """Both wrote models/.DEFAULT.new; one failed, or models/DEFAULT named one bundle and the ignore files sent the other."""
    script = (
        "import sys; from pathlib import Path; from finetune.default_choice import choose_default\n"
        "for _ in range(100): choose_default(Path('models', sys.argv[1]))"
    )
    command = [sys.executable, "-c", script]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    writers = [subprocess.Popen([*command, name], env=variables) for name in ("jokes", "other")]
    assert [writer.wait(30) for writer in writers] == [0, 0]
    chosen = (project / "models/DEFAULT").read_text(encoding="utf-8").strip()
    for name in IGNORE_FILES:
        assert f"!/models/{chosen}/\n" in (project / name).read_text(encoding="utf-8")
    assert not list((project / "models").glob(".*.new"))
