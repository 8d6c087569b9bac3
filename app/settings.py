"""The settings: every environment variable the app reads, with limits, default and meaning.

A variable has its field's name in capitals. White space around a value does not count. A value that does not fit stops the start
with one line: the variable, its value and what was expected. Nothing here reads a file.
"""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.errors import SettingError
from app.origins import read_origins

FEEDBACK_ADDRESS = r"sqlite:///(?P<path>[^\0]+)|bigquery://(?P<project>[a-z0-9][a-z0-9.:-]+)\.(?P<dataset>\w{1,1024})"
"""sqlite:///PATH or bigquery://PROJECT.DATASET. An absolute PATH begins with a fourth slash."""

# White space and characters without width. Files of secrets end in a newline, and pasted values begin with a byte-order mark.
BLANKS = r"[\s\ufeff\u200b-\u200f\u2060]+"
# Elsewhere an empty value means the default. Here it means no store, or is a mistake: it would serve another model or let all in.
EMPTY_COUNTS = ("FEEDBACK", "MODEL", "CORS_ORIGINS")
# Their values are words, which may be written in capitals: Python's own logging writes INFO.
WORDS = ("ENGINE", "BUNDLE_CHECK", "LOG_LEVEL", "LOG_FORMAT")
# How much a name must resemble a setting's to be taken for a misspelling of it, from 0 to 1. TELEGRAM_BOT_TOKEN is at 0.875.
RESEMBLANCE = 0.87


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings. Each description completes the sentence "NAME should be …"."""

    port: Annotated[int, Meta(ge=1, le=65535, description="the port to listen on, 1 to 65535")] = 8080
    listen: Annotated[
        str,
        Meta(
            min_length=1,
            description="the address to listen on: 0.0.0.0 for every network of this machine, 127.0.0.1 for itself alone",
        ),
    ] = "0.0.0.0"
    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="the folder of the bundle to serve (with ENGINE=tensorflow, of a checkpoint), or left out for the one"
            " that models/DEFAULT names, else models/starter",
        ),
    ] = ""
    models: Annotated[str, Meta(description="more bundles to serve, or folders of bundles, comma-separated")] = ""
    engine: Annotated[
        Literal["onnx", "tensorflow", "fake"],
        Meta(
            description="onnx (which serves), tensorflow (gpt-2-simple itself, to compare with) or fake (no model, for tests)"
        ),
    ] = "onnx"
    bundle_check: Annotated[
        Literal["crc32", "sha256"],
        Meta(
            description="crc32 (which finds damaged and mixed-up files) or sha256 (which takes longer and finds files that were"
            " changed on purpose too), the checksum by which a bundle's files are compared with its manifest"
        ),
    ] = "crc32"
    threads: Annotated[
        int, Meta(ge=0, le=1024, description="threads that compute, or 0 for every core that may be used")
    ] = 0
    concurrency: Annotated[
        int, Meta(ge=1, le=64, description="how many requests are written at the same time, 1 to 64")
    ] = 1
    queue_limit: Annotated[
        int, Meta(ge=0, le=10000, description="how many requests may wait in the queue, 0 to 10000")
    ] = 32
    request_timeout: Annotated[
        float, Meta(gt=0, le=3600, description="seconds that a request may take, up to 3600")
    ] = 240.0
    max_length: Annotated[
        int,
        Meta(
            ge=1, le=1_000_000, description="the largest number of new tokens that a request may ask for, 1 to 1000000"
        ),
    ] = 4096
    cors_origins: Annotated[
        str, Meta(min_length=1, description="the origins whose web pages may call the API, comma-separated, or *")
    ] = "*"
    feedback: Annotated[
        str,
        Meta(
            pattern=rf"^(?:{FEEDBACK_ADDRESS})?\Z",
            description="the store for votes: sqlite:///PATH or bigquery://PROJECT.DATASET, or empty to keep none",
        ),
    ] = "sqlite:///feedback.db"
    telegram_token: Annotated[
        str,
        Meta(
            pattern=r"^([0-9]+:[A-Za-z0-9_-]+)?\Z",
            description="the token that @BotFather gave (digits, a colon, letters), or empty for no bot",
            extra={"secret": True},
        ),
    ] = ""
    telegram_secret: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9_-]{0,256}\Z",
            description="a secret of your choice that Telegram sends with each update, 1 to 256 of A-Z, a-z, 0-9, _ and -",
            extra={"secret": True},
        ),
    ] = ""
    telegram_api_url: Annotated[
        str,
        Meta(
            pattern=r"^https?://([^\s/?#@]+@)?([^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,4}|:[1-5][0-9]{4}|:6[0-5][0-9]{3})?(/[^\s?#]*)?\Z",
            description="the address of the Bot API, which begins with http:// or https:// and a host",
        ),
    ] = "https://api.telegram.org"
    telegram_allow: Annotated[
        str,
        Meta(
            pattern=r"^\s*(-?[0-9]{1,18}\s*(,\s*-?[0-9]{1,18}\s*)*)?\Z",
            description="ids of people and chats that the bot answers, comma-separated, or empty for everybody",
        ),
    ] = ""
    telegram_rate: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="texts a minute that one person may ask the bot for, and as many commands and votes, or 0 for no limit",
        ),
    ] = 20
    voice: Annotated[
        str,
        Meta(
            pattern=r"^((espeak-ng(:\w[\w+./-]*)?|piper:[^\0]+))?\Z",
            description="the program with which the bot reads texts aloud, espeak-ng, espeak-ng:VOICE (such as espeak-ng:de) or"
            " piper:MODEL.onnx, or empty for none",
        ),
    ] = ""
    compare: Annotated[
        str,
        Meta(
            description="models and files of human texts (.jsonl, .txt) that the bot and /play compare blindly, comma-separated"
        ),
    ] = ""
    api_keys: Annotated[
        str,
        Meta(
            pattern=r"^(\s*[!-+\--~]+\s*(,\s*[!-+\--~]+\s*)*)?\Z",
            description="the API keys that are let in, of visible ASCII characters, comma-separated, or empty for everybody",
            extra={"secret": True},
        ),
    ] = ""
    rate_limit: Annotated[
        int, Meta(ge=0, le=1_000_000, description="requests a minute for each API key or address, or 0 for no limit")
    ] = 0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"],
        Meta(description="debug, info, warning, error or critical"),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "text"], Meta(description="auto (json on Cloud Run, text elsewhere), json or text")
    ] = "auto"
    google_cloud_project: Annotated[
        str, Meta(description="the Google Cloud project's id, so that log lines carry the full name of their trace")
    ] = ""

    def __repr__(self) -> str:
        """The fields and values, without the secrets."""
        shown = (
            f"{name}={value!r}" for name, value in msgspec.structs.asdict(self).items() if name.upper() not in secrets()
        )
        return f"Settings({', '.join(shown)})"

    @property
    def origins(self) -> list[str]:
        """What CORS_ORIGINS allows. Raises SettingError."""
        return read_origins(self.cors_origins)

    @property
    def telegram_allowed(self) -> set[int]:
        return {int(part) for part in self.telegram_allow.split(",") if part.strip()}

    def require_telegram_secret(self) -> None:
        """Refuse a bot that anybody could send updates to. Raises SettingError."""
        if self.telegram_token and not self.telegram_secret:
            raise SettingError(
                "TELEGRAM_SECRET is empty and TELEGRAM_TOKEN is not: choose a secret of 1 to 256 of A-Z, a-z, 0-9, _ and -."
            )

    def require_a_use_of_compare(self) -> None:
        """Refuse a comparison that nobody would ever see. Raises SettingError."""
        if self.compare and not self.telegram_token and not self.feedback:
            raise SettingError(
                "COMPARE is for the Telegram bot and for /play: set TELEGRAM_TOKEN, or FEEDBACK to a store, or leave COMPARE out."
            )

    def require_a_bot_for_the_voice(self) -> None:
        """Refuse a voice that nobody would ever hear. Raises SettingError."""
        if self.voice and not self.telegram_token:
            raise SettingError("VOICE is for the Telegram bot: set TELEGRAM_TOKEN too, or leave VOICE out.")

    @property
    def keys(self) -> list[str]:
        return [key.strip() for key in self.api_keys.split(",")] if self.api_keys else []


def meanings() -> dict[str, str]:
    """What the value of each variable should be, by the variable's name."""
    hints = typing.get_type_hints(Settings, include_extras=True)
    return {name.upper(): str(hint.__metadata__[0].description) for name, hint in hints.items()}


def secrets() -> set[str]:
    """The variables whose values appear in no message and no log."""
    hints = typing.get_type_hints(Settings, include_extras=True)
    return {name.upper() for name, hint in hints.items() if hint.__metadata__[0].extra}


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in the environment. Raises SettingError, which never quotes a secret."""
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(Settings):
        name = field.name.upper()
        value = setting(name, environ)
        if not value and (name not in environ or name not in EMPTY_COUNTS):
            continue
        try:
            values[field.name] = msgspec.convert(value, field.type, strict=False)
        except msgspec.ValidationError:
            raise SettingError(f"{name} is {shown(name, value)}, and should be {meanings()[name]}.") from None
    return Settings(**values)  # type: ignore[arg-type]  # Each value has just been converted to its field's type.


def setting(name: str, environ: Mapping[str, str]) -> str:
    """A variable's value without the blanks around it, in small letters if it is one of WORDS, and empty if it is not set.

    Raises SettingError for a value in quotes.
    """
    raw = environ.get(name, "")
    value = without_blanks(raw)
    if raw and not value and name in secrets():
        # The file of a secret that was never filled in. Without its key the service would be open to everybody.
        raise SettingError(f"{name} is nothing but white space: give it a value, or leave it out.")
    if any(is_quoted(part) for part in (value, *map(str.strip, value.split(",")))):
        raise SettingError(f"{name} is {shown(name, value)}: leave out the quotes, which would be part of the value.")
    return value.lower() if name in WORDS else value


def without_blanks(value: str) -> str:
    return re.sub(rf"\A{BLANKS}|{BLANKS}\Z", "", value)


def is_quoted(value: str) -> bool:
    """Whether a value is in quotes, which a shell takes away, but Docker's --env-file and YAML do not."""
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"


def shown(name: str, value: str) -> str:
    """How an error message shows a value."""
    return "not what it should be" if name in secrets() else repr(value)


def misspelt(environ: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable whose name is nearly that of a setting, such as API_KEY, because nothing reads it."""
    import difflib

    names = list(meanings())
    found = {
        name: difflib.get_close_matches(name.upper(), names, 1, RESEMBLANCE) for name in environ if name not in names
    }
    return [
        f"{name} is not a setting and changes nothing: did you mean {near[0]}?" for name, near in found.items() if near
    ]


def json_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the log is JSON: LOG_FORMAT=json, or LOG_FORMAT=auto on Cloud Run.

    Not part of `Settings`, because the error about a wrong setting is printed in the log's format too.
    """
    asked = without_blanks(environ.get("LOG_FORMAT", "")).lower()
    return asked == "json" or (asked != "text" and on_cloud_run(environ))


def on_cloud_run(environ: Mapping[str, str] = os.environ) -> bool:
    """Cloud Run sets K_SERVICE to the service's name."""
    return "K_SERVICE" in environ
