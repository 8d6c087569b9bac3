"""Texts read aloud, by a small program on this machine: espeak-ng or piper speaks, ffmpeg or opusenc makes a voice message of it.

What a model wrote goes in through standard input and is never part of a command. The programs get none of the service's
variables, so no secrets, and end when they take too long or too much memory.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from app.errors import SettingError

log = logging.getLogger(__name__)
ENCODERS = {
    "ffmpeg": ("-hide_banner", "-loglevel", "error", "-i", "pipe:0", "-c:a", "libopus", "-b:a", "24k", "-f", "ogg", "pipe:1"),
    "opusenc": ("--quiet", "--ignorelength", "--bitrate", "24", "-", "-"),
}  # fmt: skip
# Variables that a program needs to find its own files.
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "ESPEAK_DATA_PATH")
# Characters that are read aloud, seconds for all of it, and bytes: of a program's output, and of its memory.
LONGEST = 1000
SECONDS = 20.0
MOST_OUTPUT = 32 * 2**20
MOST_MEMORY = 2 * 2**30


class Speech:
    """Reads one text at a time."""

    def __init__(self, speaker: Sequence[str], encoder: Sequence[str]) -> None:
        self._speaker = speaker
        self._encoder = encoder
        self._turn = asyncio.Semaphore(1)

    async def say(self, text: str) -> bytes | None:
        """The text as Opus in an Ogg file, or None if a program fails, which is logged."""
        # Piper makes a file of each line.
        line = " ".join(text.split())[:LONGEST]
        try:
            async with asyncio.timeout(SECONDS), self._turn:
                sound = await run(self._speaker, line.encode(errors="replace"))
                return await run(self._encoder, sound)
        except (OSError, TimeoutError) as error:
            log.warning("a text could not be read aloud: %s", str(error) or f"it took more than {SECONDS:g} s")
            return None


def open_speech(voice: str) -> Speech | None:
    """What the setting VOICE names, or None if it is empty. Raises SettingError for a program that is not installed."""
    if not voice:
        return None
    name, _, which = voice.partition(":")
    if not (speaker := shutil.which(name)):
        raise SettingError(f"VOICE is {voice!r}, and there is no program {name} here: install it, or leave VOICE out.")
    encoder = next(filter(None, map(shutil.which, ENCODERS)), None)
    if encoder is None:
        raise SettingError("VOICE needs ffmpeg or opusenc, and neither is here: install one, or leave VOICE out.")
    if name == "piper":
        if not Path(which).is_file():
            raise SettingError(f"VOICE is {voice!r}, and should be piper:MODEL.onnx with the file of a voice.")
        options = ["--model", str(Path(which).resolve()), "--output_file", "-"]
    else:
        options = ["--stdin", "--stdout", *(["-v", which] if which else [])]
    return Speech([speaker, *options], [encoder, *ENCODERS[Path(encoder).name]])


async def run(command: Sequence[str], given: bytes) -> bytes:
    """What a program makes of its input. Raises OSError, and ends the program if it is cancelled."""
    environ = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"LANG": "C.UTF-8"}
    # A program that is a script is ended with all that it has started.
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environ, process_group=0
    )
    writing = asyncio.create_task(feed(process, given))
    try:
        limit_memory(process.pid)
        assert process.stdout is not None
        made = bytearray()
        while piece := await process.stdout.read(2**16):
            made += piece
            if len(made) > MOST_OUTPUT:
                raise OSError(f"{Path(command[0]).name} writes without end")
        if await process.wait() or not made:
            raise OSError(f"{Path(command[0]).name} ended with {process.returncode}")
        return bytes(made)
    finally:
        writing.cancel()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.stdin is not None:
            process.stdin.close()
        # Reads what is left, and closes the pipe.
        await process.communicate()


async def feed(process: asyncio.subprocess.Process, given: bytes) -> None:
    assert process.stdin is not None
    # A program may end before it has read all.
    with suppress(ConnectionError):
        process.stdin.write(given)
        await process.stdin.drain()
        process.stdin.close()


def limit_memory(pid: int) -> None:
    """Limit a program's address space, where the system can do so from outside."""
    with suppress(ImportError, AttributeError, ProcessLookupError, PermissionError):
        import resource

        resource.prlimit(pid, resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
