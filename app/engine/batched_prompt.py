"""A prompt in the batch and the texts after it, each in a slot of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from app.engine.base import Engine, Logits
from app.engine.deadline import Deadline
from app.engine.generation import FinishReason, GenerationOptions, PromptScorer, TextDelta, WrittenText, shown_text


class BatchedText:
    """A text in its slot, which holds the first `filled` tokens of `window`, the newest tokens of prompt and text.

    While it is `reading`, the rest of them is read in pieces. When the window is full it slides: its newest part is read again.
    """

    def __init__(self, prompt: BatchedPrompt, text: WrittenText) -> None:
        self.prompt = prompt
        self.text = text
        self.window = [*prompt.tokens]
        self.slot = -1
        self.filled = 0
        self.reading = False
        self.slid = False

    @property
    def writing(self) -> bool:
        """Whether the next pass reads its newest token."""
        return self.filled > 0 and not self.reading and not self.text.finished

    def write(self, logits: Logits) -> None:
        """Write one more token, given logits [n_vocab]."""
        token, delta = self.text.write(logits)
        self.window.append(token)
        self.prompt.report(delta)

    def slide(self, length: int) -> None:
        """Let the window begin with its newest `length` tokens, one at least. They have to be read."""
        self.window = self.window[-max(1, length) :]
        self.filled = 0
        self.slid = True


class BatchedPrompt:
    """A prompt and the texts after it. It is read once, for the first of them; `unread` says that this is not done yet.

    An `error` ends its texts without another delta: DeadlinePassed if the time was up before there was any.
    """

    def __init__(self, engine: Engine, tokens: Sequence[int], options: GenerationOptions, deadline: Deadline) -> None:
        offset = len(shown_text(engine, tokens)) if options.score_prompt else 0
        self.tokens = tokens
        self.options = options
        self.deadline = deadline
        self.texts = [
            BatchedText(self, WrittenText(engine, tokens, options, index, offset)) for index in range(options.samples)
        ]
        self.scorer = PromptScorer(engine, options.logprobs or 0) if options.score_prompt else None
        self.unread = True
        self.begun = False
        self.error: Exception | None = None
        self._deltas: list[TextDelta] = []

    @property
    def ended(self) -> bool:
        return self.error is not None or all(text.text.finished for text in self.texts)

    @contextlib.contextmanager
    def own_errors(self) -> Iterator[None]:
        """What goes wrong in here ends these texts and no others."""
        try:
            yield
        except Exception as error:
            self.error = error

    def take(self) -> list[TextDelta]:
        """What has been written since this was called before."""
        taken, self._deltas = self._deltas, []
        return taken

    def report(self, delta: TextDelta) -> None:
        self.begun = True
        self._deltas.append(delta)

    def score(self, tokens: Sequence[int], logits: Sequence[Logits]) -> None:
        """Score a piece of the prompt, given the logits after each token. Each text begins with these scores."""
        assert self.scorer is not None
        for token, row in zip(tokens, logits, strict=True):
            if scored := self.scorer.add(token, row):
                for text in self.texts:
                    self.report(TextDelta(text.text.index, "", scored=[scored], tokens=0, of_prompt=True))

    def cut(self, reason: FinishReason) -> None:
        """End all texts as they are."""
        for text in self.texts:
            if not text.text.finished:
                self.report(text.text.cut(reason))
