"""`chat` talks to a model in the terminal: a script gets nothing but replies, and a person a few commands."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.engine.batch import generate
from app.engine.bundle import open_bundle
from app.engine.fake import SCRIPT, FakeEngine
from app.engine.onnx import OnnxEngine
from app.engine.profile import Profile, SamplingDefaults
from app.engine.prompts import all_turn_tokens, alternating
from finetune.__main__ import main
from finetune.opened_model import model_folder
from finetune.terminal_chat import TerminalChat
from finetune.writing_options import WritingOptions
from tests.conftest import ROOT

STARTER = str(ROOT / "models/starter")


class Keyboard(io.StringIO):
    """What a person types, line by line, at a terminal."""

    def isatty(self) -> bool:
        return True


class Screen(io.StringIO):
    """A terminal's screen. After `strokes` pieces of text, Ctrl-C is pressed."""

    def __init__(self, strokes: int = -1) -> None:
        super().__init__()
        self.strokes = strokes

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.strokes -= 1
        if self.strokes == 0:
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


def told(monkeypatch: pytest.MonkeyPatch, *lines: str, engine: FakeEngine, strokes: int = -1) -> tuple[list[str], str]:
    """What a person who types these lines reads, after each prompt, and what the model knows of the conversation."""
    screen = Screen(strokes)
    monkeypatch.setattr(sys, "stdin", Keyboard("".join(f"{line}\n" for line in lines)))
    monkeypatch.setattr(sys, "stdout", screen)
    talk = TerminalChat(engine, WritingOptions(length=9, temperature=0))
    talk.run()
    return screen.getvalue().split("> ")[1:], "|".join(talk.turns)


def engine(template: str = "[USER] %\n[BOT] %", **defaults: float) -> FakeEngine:
    profile = Profile(template=template, sampling=SamplingDefaults(**defaults))  # type: ignore[arg-type]
    return FakeEngine(profile=profile)


def test_a_script_gets_the_replies_that_the_app_would_give_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second reply is given in the conversation, with the model's own settings."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi\n\nHow are you?\n"))
    assert main(["chat", STARTER, "--seed", "5"]) == 0
    model = OnnxEngine(open_bundle(Path(STARTER)), threads=1)
    options = replace(WritingOptions(seed=5).for_model(model), tags=model.profile.stop_tags, strip=" \n")
    assert (options.sampling.temperature, options.sampling.top_p) == (0.7, 0.8)
    turns: list[str] = []
    for message in ("hi", "How are you?"):
        turns.append(message)
        tokens = all_turn_tokens(model, alternating(turns))
        turns.append("".join(delta.text for delta in generate(model, tokens, options)))
    assert capsys.readouterr() == (f"{turns[1]}\n{turns[3]}\n", "")


def test_a_person_gets_prompts_and_the_conversation_is_remembered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, turns = told(monkeypatch, "Hello", "", "And?", engine=engine())
    assert read == [f"{SCRIPT[:9]}\n", "", f"{SCRIPT[:9]}\n", "\n"]
    assert turns == f"Hello|{SCRIPT[:9]}|And?|{SCRIPT[:9]}"
    assert "Ctrl-D ends" in capsys.readouterr().err


def test_a_reply_cannot_command_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of bytes may write what clears the screen or renames the window."""
    read, turns = told(monkeypatch, "Hello", engine=FakeEngine("a\x1b]0;x\x07bcdef", template="qa"))
    assert read[0] == "a�]0;x�bc\n"
    assert turns == "Hello|a\x1b]0;x\x07bc"


def test_again_and_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, "Hello", "/again", engine=engine())[1] == f"Hello|{SCRIPT[:9]}"
    assert told(monkeypatch, "Hello", "/reset", engine=engine())[1] == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/help", "/again  "),
        ("/settings", "length 9"),
        ("/settings", "top_p 0.5"),
        ("/settings length 4", "length 4"),
        ("/settings top_p 0.25", "top_p 0.25"),
        ("/settings temperature", "temperature 0.3"),
        ("/settings seed 7", "seed 7"),
        ("/settings top_p 7", "top_p is 7.0 and should be at least 0 and at most 1."),
        ("/settings length x", "length cannot be x: give a whole number."),
        ("/settings colour 7", "there is no setting colour: the settings are length, temperature"),
        ("/again", "/again needs a reply before it"),
        ("/forget", "there is no command /forget: /help shows all."),
        ("x" * 2000, "the model's window holds 1024: shorten it."),
    ],
)
def test_commands_and_what_is_wrong_are_answered_beside_the_conversation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    read, turns = told(monkeypatch, line, "Hello", engine=engine(top_p=0.5, temperature=0.3))
    assert said in capsys.readouterr().err
    assert read[0] == ""
    assert turns.startswith("Hello|The")


def test_ctrl_c_stops_the_reply_and_not_the_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fourth piece of text is the third character of the reply, after the prompt."""
    read, turns = told(monkeypatch, "Hello", "And?", engine=engine(), strokes=4)
    assert len(read[0].strip()) < 9
    assert turns.count("|") == 3


def test_a_model_without_turns_continues_what_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty line lets it go on, and a text longer than the window counts by its end."""
    fake = engine("text")
    read, turns = told(monkeypatch, "Once", "", "x" * 2000, engine=fake)
    assert read[:2] == [f"{SCRIPT[:9]}\n", f"{SCRIPT[:9]}\n"]
    assert turns == "x" * 2000 + "|" + "x" * 2000 + SCRIPT[:9]
    assert "fake knows no turns: it continues what you write." in capsys.readouterr().err


def test_a_script_that_cannot_be_read_or_answered_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for script, said in ((b"\xff\n", "the messages are not UTF-8"), (b"duck " * 2000, "shorten it."), (b"/x", "/help")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(script), encoding="ascii"))
        assert main(["chat", STARTER]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert said in err
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["chat", STARTER]) == 0


def test_sample_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", STARTER, "--prefix", "[QUESTION]", "--nsamples", "2", "--seed", "3", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["model"], document["seed"], document["settings"]["top_p"]) == ("starter", 3, 0.8)
    assert main(["sample", STARTER, "--prefix", "[QUESTION]", "--nsamples", "2", "--seed", "3"]) == 0
    printed = capsys.readouterr().out.split("====================\n")
    assert [f"[QUESTION]{text['text']}\n" for text in document["texts"]] == printed[:2]


def test_the_model_is_found_by_its_name(
    checkpoint: Path, bundles: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `new`, a run and its bundle have one name: the bundle is meant, and without a name the default bundle."""
    monkeypatch.chdir(tmp_path)
    for folder, source in (
        ("models/jokes", bundles[8]),
        ("checkpoint/jokes", checkpoint),
        ("checkpoint/run1", checkpoint),
    ):
        (tmp_path / folder).parent.mkdir(exist_ok=True)
        (tmp_path / folder).symlink_to(source)
    (tmp_path / "models/DEFAULT").write_text("jokes\n")
    found = [str(model_folder(name)) for name in (None, "jokes", "run1", "checkpoint/jokes")]
    assert found == ["models/jokes", "models/jokes", "checkpoint/run1", "checkpoint/jokes"]
    assert main(["sample", "joke"]) == main(["sample", "jokes", "--checkpoint", "checkpoint/run1"]) == 2


@pytest.mark.slow
def test_in_a_real_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines are typed and edited, the reply comes that a script gets too, and Ctrl-D ends."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi\n"))
    assert main(["chat", STARTER, "--seed", "5"]) == 0
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "finetune", "chat", STARTER, "--seed", "5"]
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, close_fds=True)
    os.close(theirs)
    read = b""
    while b"> " not in read:
        read += os.read(ours, 1000)
    os.write(ours, b"hx\x7fi\n")
    while read.count(b"> ") < 2:
        read += os.read(ours, 1000)
    os.write(ours, b"\x04")
    assert child.wait(20) == 0
    os.close(ours)
    assert capsys.readouterr().out.strip() in read.decode()
