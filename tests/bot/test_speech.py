"""🔊: texts read aloud by programs on the machine."""

from __future__ import annotations

import asyncio
import gc
import stat
from pathlib import Path

import pytest

from app.bot.speech import LONGEST, open_speech
from app.bot.strings import EXPIRED_BUTTON, NO_VOICE_NOW
from app.errors import SettingError
from app.settings import read_settings
from tests.bot.conftest import ask, bot, labels, press
from tests.fakes.bot_api import TOKEN


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, which is all of PATH but the shell's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def install(folder: Path) -> None:
    """Stand-ins for both: the sound of a text is the program's arguments, its variables and the text itself."""
    program(folder, "espeak-ng", 'echo "$@"; env | sort; cat')
    program(folder, "opusenc", "printf 'OggS'; cat")


def say(text: str, voice: str = "espeak-ng") -> bytes | None:
    speech = open_speech(voice)
    assert speech is not None
    return asyncio.run(speech.say(text))


def test_a_text_is_heard_at_the_press_of_a_button(programs: Path, store: str) -> None:
    install(programs)
    with bot(feedback=store, voice="espeak-ng:de") as telegram:
        said = ask(telegram, "/joke")
        assert labels(said) == ["👍", "👎", "Another", "🔊"]
        press(telegram, said, "🔊")
        heard = telegram.said(7)[-1]
        assert heard["voice"]["file_size"] > 50
        assert heard["reply_to_message"]["message_id"] == said["message_id"]
        press(telegram, said, "👍")
        assert labels(telegram.now(said)) == ["✓ 👍", "👎", "Another", "🔊"]
        telegram.react(said, "👎")
        program(programs, "espeak-ng", "exit 1")
        press(telegram, said, "🔊")
        assert telegram.said(7)[-1]["text"] == NO_VOICE_NOW
        assert labels(telegram.now(said)) == ["👍", "✓ 👎", "Another", "🔊"]
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke")
        telegram.press(said, "aloud")
        telegram.settle()
        assert telegram.notices[-1]["text"] == EXPIRED_BUTTON


def test_a_text_is_never_part_of_a_command_and_secrets_stay_here(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(programs)
    monkeypatch.setenv("TELEGRAM_TOKEN", TOKEN)
    hostile = "-f /etc/passwd; $(reboot) `id` \n--stdin 🦆"
    heard = (say(hostile, "espeak-ng:de") or b"").decode()
    assert heard.startswith("OggS--stdin --stdout -v de\n")
    assert heard.endswith("-f /etc/passwd; $(reboot) `id` --stdin 🦆")
    assert TOKEN not in heard
    assert len(say("x" * 5000) or b"") < LONGEST + 500


@pytest.mark.parametrize(
    "script",
    ["exit 3", "exit 0", "sleep 60", "cat /dev/zero", "head -c 1 > /dev/null; kill -9 $$", "(sleep 60); exit 3"],
    ids=str,
)
def test_a_program_that_fails_hangs_or_never_ends_is_ended(
    programs: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    install(programs)
    program(programs, "espeak-ng", f"exec {script}" if script[0] in "sc" else script)
    monkeypatch.setattr("app.bot.speech.SECONDS", 0.5)
    monkeypatch.setattr("app.bot.speech.MOST_OUTPUT", 2**20)
    assert say("Hello" * 100_000) is None
    # Its pipes were left to the garbage collector, which complained in the middle of another test.
    gc.collect()


def test_what_is_missing_stops_the_start_in_one_sentence(programs: Path) -> None:
    assert open_speech("") is None
    with pytest.raises(SettingError, match="there is no program espeak-ng here: install it, or leave VOICE out"):
        open_speech("espeak-ng:de")
    program(programs, "espeak-ng", "cat")
    with pytest.raises(SettingError, match="VOICE needs ffmpeg or opusenc, and neither is here: install one"):
        open_speech("espeak-ng")
    program(programs, "ffmpeg", "cat")
    program(programs, "piper", "cat")
    with pytest.raises(
        SettingError, match=r"VOICE is 'piper:no.onnx', and should be piper:MODEL.onnx with the file of a voice"
    ):
        open_speech("piper:no.onnx")
    (programs / "voice.onnx").touch()
    assert say("Hello", f"piper:{programs}/voice.onnx") == b"Hello"


@pytest.mark.parametrize(
    "voice", ["festival", "espeak-ng:", "espeak-ng:-f /etc/passwd", "piper", "espeak-ng:de\n"[:-1] + ";x"]
)
def test_a_voice_is_one_of_two_programs(voice: str) -> None:
    with pytest.raises(
        SettingError, match=r"^VOICE is .+, and should be the program with which the bot reads texts aloud"
    ):
        read_settings({"VOICE": voice})


def test_a_voice_without_a_bot_is_refused() -> None:
    with pytest.raises(SettingError, match="VOICE is for the Telegram bot: set TELEGRAM_TOKEN too"):
        read_settings({"VOICE": "espeak-ng"}).require_a_bot_for_the_voice()
