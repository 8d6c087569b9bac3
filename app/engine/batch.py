"""The batch: the texts of one model that are being written, each in a slot of its own.

A pass over the model reads the newest token of each of them and a piece of one prompt, so texts begin and end between any two
tokens, and a long prompt delays nobody by more than a piece. Prompts are read in the order in which they came: what has been
read of one is at hand for its next piece, and changing between two would cost more than the shorter one gains.

Where an engine does not share passes, requests take turns: a pass writes the texts after one prompt, or reads a piece of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from app.engine.base import Chunk, Engine, Logits, RowStep, Slots
from app.engine.batched_prompt import BatchedPrompt, BatchedText
from app.engine.deadline import NEVER, Deadline, DeadlinePassed
from app.engine.generation import GenerationOptions, TextDelta, needed_positions
from app.engine.prefix_cache import KeptSlot, PrefixCache

# Tokens of a prompt that one pass reads: while others write, and alone. A pass cannot be interrupted; 128 tokens take a tenth of
# a second for 124M on one core.
CHUNK = 32
CHUNK_ALONE = 128
# Each token of a scored piece has logits of its own: 200 KB.
CHUNK_SCORED = 32
# The most slots that are kept for their prefixes.
KEPT_SLOTS = 32


class TextBatch:
    """Writes up to `rows` texts of a model side by side, of up to `positions` tokens each. One thread at a time may use it."""

    def __init__(
        self, engine: Engine, rows: int, positions: int | None = None, prefixes: PrefixCache | None = None
    ) -> None:
        self.engine = engine
        self._positions = positions or engine.n_ctx
        self._prefixes = prefixes or PrefixCache(0)
        kept = KEPT_SLOTS if self._prefixes.max_bytes else 0
        self._rows = rows
        self._count = rows + kept
        self._free = set(range(rows))
        # Behind the others, so that a pass over the first slots has no gaps.
        self._free_kept = set(range(rows, rows + kept))
        self._open_slots: Slots | None = None
        self._waiting: deque[BatchedPrompt] = deque()
        self._running: list[BatchedPrompt] = []
        self._reading: list[BatchedText] = []

    @property
    def prompts(self) -> list[BatchedPrompt]:
        """Those whose texts have not all ended."""
        return [*self._running, *self._waiting]

    def add(self, tokens: Sequence[int], options: GenerationOptions, deadline: Deadline = NEVER) -> BatchedPrompt:
        """Write `options.samples` texts after a prompt, `rows` at most, as soon as that many slots are free."""
        assert options.samples <= self._rows
        prompt = BatchedPrompt(self.engine, tokens, options, deadline)
        self._waiting.append(prompt)
        return prompt

    def remove(self, prompt: BatchedPrompt) -> None:
        """Write no more of these texts."""
        if not prompt.ended:
            prompt.error = DeadlinePassed()
        self._leave()

    def run(self) -> None:
        """One pass, if there is anything to do. The prompts have the new deltas."""
        self._cut_late()
        self._begin_waiting()
        texts, reader = self._next_pass()
        if texts or reader:
            chunk = self._next_chunk(reader, alone=not texts) if reader else None
            steps = [RowStep(text.slot, text.window[-1], text.filled) for text in texts]
            logits = self._slots.run(steps, chunk)
            for text, row in zip(texts, logits, strict=False):
                text.filled += 1
                self._write(text, row)
            if reader and chunk:
                self._read(reader, chunk, logits[len(texts) :])
        self._leave()

    def close(self) -> None:
        """Release all memory. The caller makes no more calls."""
        if self._open_slots is not None:
            self._open_slots.close()
            self._open_slots = None
            self._prefixes.forget(self.engine.name)

    @property
    def _slots(self) -> Slots:
        if self._open_slots is None:
            self._open_slots = self.engine.slots(self._count, self._positions)
        return self._open_slots

    def release_dropped(self) -> None:
        """Release the slots that the prefix cache has dropped."""
        for slot in self._prefixes.take_dropped(self.engine.name):
            self._slots.release(slot)
            self._free_kept.add(slot)

    def _cut_late(self) -> None:
        for prompt in self.prompts:
            if prompt.deadline.passed and prompt.begun:
                prompt.cut("timeout")
            elif prompt.deadline.passed:
                prompt.error = DeadlinePassed()
        self._leave()

    def _begin_waiting(self) -> None:
        """Give slots to the prompts that wait, in their order."""
        self.release_dropped()
        while self._waiting:
            prompt = self._waiting[0]
            options = prompt.options
            slots = self._free_slots(options.samples)
            if slots is None:
                return
            self._running.append(self._waiting.popleft())
            if not options.length and not prompt.scorer:
                prompt.cut("length")
                continue
            self._slots.reserve(slots, needed_positions(self.engine, prompt.tokens, options))
            for text, slot in zip(prompt.texts, slots, strict=True):
                text.slot = slot
                self._free.discard(slot)
            if options.reuse and not prompt.scorer:
                self._reuse_prefix(prompt.texts[0])
            self._begin_reading(prompt.texts[0])

    def _free_slots(self, count: int) -> list[int] | None:
        """The lowest free slots: fewer are run over. They are neighbours where a pass is of one request only."""
        free = sorted(self._free)
        if self.engine.shares_passes:
            return free[:count] if count <= len(free) else None
        ends = zip(free, free[count - 1 :], strict=False)
        return next((list(range(first, last + 1)) for first, last in ends if last - first == count - 1), None)

    def _begin_reading(self, text: BatchedText) -> None:
        text.reading = True
        self._reading.append(text)

    def _next_pass(self) -> tuple[list[BatchedText], BatchedText | None]:
        """The texts whose newest token is read, and the one of which a piece is."""
        if self.engine.shares_passes:
            texts = [text for prompt in self._running for text in prompt.texts if text.writing]
            return sorted(texts, key=lambda text: text.slot), next(iter(self._reading), None)
        # Take turns.
        self._running = self._running[1:] + self._running[:1]
        prompt = next(reversed(self._running), None)
        reader = next((text for text in self._reading if text.prompt is prompt), None)
        return [text for text in prompt.texts if text.writing] if prompt and not reader else [], reader

    def _next_chunk(self, text: BatchedText, alone: bool) -> Chunk:
        """The next piece of what a text has to read. None of a single token is left, as that is computed in another way."""
        scored = text.prompt.unread and text.prompt.scorer is not None
        most = CHUNK_SCORED if scored else CHUNK_ALONE if alone or not self.engine.shares_passes else CHUNK
        left = len(text.window) - text.filled
        count = min(most, left)
        if left - count == 1:
            count -= 1
        piece = text.window[text.filled : text.filled + count]
        return Chunk(text.slot, np.array(piece, np.int64), text.filled, scored)

    def _read(self, text: BatchedText, chunk: Chunk, logits: Logits) -> None:
        """A piece has been read, and `logits` are those after it."""
        text.filled += len(chunk.tokens)
        newest = logits[-1].copy()
        if chunk.every:
            with text.prompt.own_errors():
                text.prompt.score(chunk.tokens.tolist(), [*logits[:-1], newest])
        if text.filled < len(text.window):
            return
        text.reading = False
        self._reading.remove(text)
        if text.prompt.unread:
            self._begin_writing(text.prompt, newest)
        else:
            self._write(text, newest)

    def _begin_writing(self, prompt: BatchedPrompt, logits: Logits) -> None:
        """The prompt has been read into the first text's slot: copy it for the others, and write the first token of each."""
        prompt.unread = False
        if not prompt.options.length:
            prompt.cut("length")
            return
        first, *others = prompt.texts
        self._write(first, logits)
        for text in others:
            self._write(text, logits)
            if not text.text.finished and not text.reading:
                self._slots.copy(first.slot, text.slot, len(prompt.tokens))
                text.filled = len(prompt.tokens)

    def _write(self, text: BatchedText, logits: Logits) -> None:
        """Write one more token of a text, and let its window slide if that is full."""
        with text.prompt.own_errors():
            text.write(logits)
        if not text.text.finished and len(text.window) > self.engine.n_ctx:
            text.slide(self.engine.n_ctx // 2)
            self._begin_reading(text)

    def _leave(self) -> None:
        """Free the slots of texts that have ended. Where a pass is of one request, they stay until the last of them ends."""
        for prompt in self._running:
            if self.engine.shares_passes or prompt.ended:
                for text in prompt.texts:
                    if text.slot >= 0 and (text.text.finished or prompt.ended):
                        self._free_slot(text)
        self._running = [prompt for prompt in self._running if not prompt.ended]
        if any(prompt.ended for prompt in self._waiting):
            self._waiting = deque(prompt for prompt in self._waiting if not prompt.ended)

    def _free_slot(self, text: BatchedText) -> None:
        if text.reading:
            text.reading = False
            self._reading.remove(text)
        if text.prompt.options.reuse and text is text.prompt.texts[0] and not text.slid:
            self._keep_prefix(text)
        self._slots.release(text.slot)
        self._free.add(text.slot)
        text.slot = -1

    def _reuse_prefix(self, text: BatchedText) -> None:
        """Copy the longest prefix that is kept. At least two tokens are left to read, as one is computed in another way."""
        tokens = np.array(text.window[:-2], np.int64)
        if found := self._prefixes.find(self.engine.name, tokens):
            slot, text.filled = found
            self._slots.copy(slot, text.slot, text.filled)

    def _keep_prefix(self, text: BatchedText) -> None:
        """Keep what the next request may begin with. What was written, token by token, has other bits than what is read."""
        length = min(text.filled, len(text.prompt.tokens)) if self.engine.shares_passes else text.filled
        most = self.engine.n_ctx * self._prefixes.max_bytes // max(1, self.engine.slot_bytes(self.engine.n_ctx))
        length = min(length, most)
        if length < 2:
            return
        if not self._free_kept:
            self._prefixes.drop_oldest(self.engine.name)
            self.release_dropped()
        slot = self._free_kept.pop()
        self._slots.reserve([slot], length)
        self._slots.copy(text.slot, slot, length)
        tokens = np.array(text.window[:length], np.int64)
        self._prefixes.keep(KeptSlot(self.engine.name, tokens, slot, self.engine.slot_bytes(length)))


def generate(
    engine: Engine,
    tokens: Sequence[int],
    options: GenerationOptions,
    deadline: Deadline = NEVER,
    batch: TextBatch | None = None,
) -> Iterator[TextDelta]:
    """Write `options.samples` texts after the prompt `tokens` (see `prepare`) and yield each delta as it comes.

    When the deadline passes, the texts end as they are. Raises DeadlinePassed if there is nothing of them by then, not even of
    the prompt's scores. A caller that stops iterating stops the generation. With a `batch` of the engine, its slots are used.
    """
    used = batch or TextBatch(engine, options.samples, needed_positions(engine, tokens, options))
    prompt = used.add(tokens, options, deadline)
    try:
        while not prompt.ended:
            used.run()
            yield from prompt.take()
        if prompt.error:
            raise prompt.error
    finally:
        used.remove(prompt)
        if batch is None:
            used.close()
