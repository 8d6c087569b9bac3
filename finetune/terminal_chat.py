"""A conversation in the terminal: lines in, the model's words out as they come, and a few commands."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from app.engine.base import Engine, start_tokens
from app.engine.batch import TextBatch, generate
from app.engine.generation import GenerationOptions, check
from app.engine.prefix_cache import PREFIX_CACHE_BYTES, PrefixCache
from app.engine.prompts import alternating, fitting_turn_tokens
from app.engine.templates import layout_of
from app.errors import PromptTooLong, SettingError
from finetune.option_ranges import option
from finetune.terminal import harmless, shown
from finetune.writing_options import WritingOptions

PROMPT = "> "
WHOLE = ("length", "top_k", "seed")
COMMANDS = """\
/again             write the last reply anew
/reset             forget the conversation
/settings          show the settings
/settings NAME X   change one, such as /settings temperature 0.9; without X, back to the model's own
Ctrl-C stops a reply, Ctrl-D ends."""


class TerminalChat:
    """A conversation with a model. `turns` alternate, a person's first.

    Where a person types, there are a greeting and prompts; a script gets nothing but the replies.
    """

    def __init__(self, engine: Engine, options: WritingOptions) -> None:
        self.turns: list[str] = []
        self._engine = engine
        self._batch = TextBatch(engine, 1, prefixes=PrefixCache(PREFIX_CACHE_BYTES))
        self._options = options
        self._has_turns = layout_of(engine.profile.template).has_turns
        self._input = sys.stdin or io.StringIO()
        self._typed = self._input.isatty() and sys.stdout.isatty()

    def run(self) -> None:
        """Answer line by line until the input ends. Raises SettingError for a line of a script that cannot be answered."""
        self._greet()
        for line in self._lines():
            try:
                self._obey(line.strip())
            except SettingError as error:
                if not self._typed:
                    raise
                self._say(str(error))

    def _greet(self) -> None:
        name, about = self._engine.profile.title or self._engine.name, self._engine.profile.about
        if not self._has_turns:
            self._say(f"{name} knows no turns: it continues what you write. An empty line lets it go on.")
        elif self._typed:
            self._say(f"{name}. {about}".strip())
        if self._typed:
            self._say("/help shows what else you can do. Ctrl-D ends.")

    def _lines(self) -> Iterator[str]:
        if not self._typed:
            yield from self._script()
            return
        with contextlib.suppress(ImportError):  # Windows has no readline; its console edits lines itself.
            import readline  # noqa: F401  Importing it gives input() editing and a history.
        while True:
            try:
                yield input(PROMPT)
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                self._say("\nCtrl-D ends.")

    def _script(self) -> Iterator[str]:
        """The lines of an input that nobody types. Raises SettingError where they are not UTF-8."""
        if isinstance(self._input, io.TextIOWrapper):
            self._input.reconfigure(encoding="utf-8-sig")
        try:
            yield from self._input
        except UnicodeDecodeError:
            raise SettingError("the messages are not UTF-8: write them in UTF-8.") from None

    def _obey(self, line: str) -> None:
        command, *words = line.split()[:3] or [""]
        if command == "/help":
            self._say(COMMANDS)
        elif command == "/reset":
            self.turns = []
        elif command == "/again":
            self._again()
        elif command == "/settings":
            self._settings(words)
        elif command.startswith("/"):
            raise SettingError(f"there is no command {command}: /help shows all.")
        elif line:
            self._answer(line)
        elif self.turns and not self._has_turns:
            self._continue(self.turns[-1])

    def _again(self) -> None:
        if len(self.turns) < 2:
            raise SettingError("/again needs a reply before it: write something first.")
        *self.turns, message, _ = self.turns
        self._answer(message)

    def _answer(self, message: str) -> None:
        if not self._has_turns:
            self._continue(message)
            return
        turns = [*self.turns, message]
        options = self._generation()
        tokens = self._fitting(turns, options)
        reuse = self._engine.shares_passes or self._options.seed is None
        reply = self._write(tokens, replace(options, tags=self._engine.profile.stop_tags, strip=" \n", reuse=reuse))
        self.turns = [*turns, reply]

    def _continue(self, text: str) -> None:
        """Go on with a text, which may be longer than the window: its end counts."""
        tokens = start_tokens(self._engine, text)[-self._engine.n_ctx :]
        added = self._write(tokens, self._generation())
        self.turns = [text, text + added]

    def _generation(self) -> GenerationOptions:
        return self._options.for_model(self._engine)

    def _fitting(self, turns: Sequence[str], options: GenerationOptions) -> list[int]:
        """The tokens of the conversation without the oldest turns, if it is long. Raises SettingError."""
        try:
            tokens = fitting_turn_tokens(self._engine, alternating(turns), options.length)
            check(self._engine, tokens, options)
        except PromptTooLong as error:
            raise SettingError(
                f"this message is {error.n_prompt_tokens} tokens long and the model's window holds {error.n_ctx}: shorten it."
            ) from None
        return tokens

    def _write(self, tokens: Sequence[int], options: GenerationOptions) -> str:
        """Print a text as it is written, and return it. Ctrl-C ends it where a person types."""
        text = ""
        try:
            for delta in generate(self._engine, tokens, options, batch=self._batch):
                text += delta.text
                print(shown(delta.text), end="", flush=True)
        except KeyboardInterrupt:
            if not self._typed:
                raise
        print(flush=True)
        return text.strip() if self._has_turns else text

    def _settings(self, words: Sequence[str]) -> None:
        if words:
            self._options = changed(self._options, *words)
        given = self._generation()
        shown = {name: getattr(given.sampling, name, None) for name in self._options.sampling} | {
            "length": given.length
        }
        seed = "random" if self._options.seed is None else self._options.seed
        self._say("  ".join(f"{name} {value:g}" for name, value in shown.items()) + f"  seed {seed}")

    def _say(self, text: str) -> None:
        """Tell the person something that is no reply."""
        print(harmless(text), file=sys.stderr, flush=True)


def changed(options: WritingOptions, name: str, value: str = "") -> WritingOptions:
    """The options with another value, or with the model's own if it is empty. Raises SettingError."""
    name, names = name.replace("-", "_"), [field.name for field in dataclasses.fields(options)]
    if name not in names:
        raise SettingError(f"there is no setting {name}: the settings are {', '.join(names)}.")
    kind = int if name in WHOLE else float
    try:
        number: Any = kind(value) if value else None
    except ValueError:
        raise SettingError(f"{name} cannot be {value}: give a {'whole ' * (kind is int)}number.") from None
    new = replace(options, **{name: number})
    try:
        new.check()
    except SettingError as error:
        raise SettingError(str(error).replace(option(name), name, 1)) from None
    return new
