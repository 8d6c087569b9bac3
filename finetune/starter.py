r"""`starter`: train the embedded default from nothing. `make starter`, about seventy minutes on two cores.

The corpus is finetune/corpus/*.jsonl, written for this project. A line holds slots, a slot holds alternatives, and a
document takes one alternative of each slot, so that a very small model meets every idea in many wordings. Each kind of
document opens with a control code that asks for it; a quarter go without, so that plain text works as a prompt too:

    [QUESTION] Why did the ...?\n[ANSWER] Because ...        a joke
    [VERDICT] YTA. You ...                                   a comment that judges
    [USER] Hello!\n[BOT] Hello! How are you?                 small talk, two to six turns

A vocabulary of 4,096 byte pairs is learned from the documents, a GPT-2 with random weights is written as a model that
gpt-2-simple knows, and gpt-2-simple's own `finetune` trains it. Documents end with the real end-of-text token. Every
25th line of the corpus, with all its wordings, is held out to measure what the model makes of ideas it never met.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.engine.base import Engine, start_tokens
from app.engine.bundle import Hparams, open_bundle
from app.engine.generation import Options, generate, prepare
from app.engine.sampling import Sampling
from app.engine.tokenizer import END_OF_TEXT, Tokenizer
from finetune.checkpoint import initial_weights, write_checkpoint
from finetune.export import export, read_text

CORPUS = Path(__file__).parent / "corpus"
SHAPE = {"n_ctx": 1024, "n_embd": 256, "n_head": 2, "n_layer": 4}
VOCABULARY = 4096
SEED = 2026
PLAIN = 0.25
WORDINGS = {"jokes": 8, "verdicts": 24, "smalltalk": 16}
HELD_OUT = 25
# Small batches learn most from so little text: one window gets as far in 0.4 M tokens as four do in 1.8 M.
BATCH = 1


class Part(NamedTuple):
    """A part of the training. `jokes` is how often each marked joke is there: short texts are the least of the tokens."""

    steps: int
    learning_rate: float
    jokes: int = 1


# gpt-2-simple has no schedule, so the learning rate falls by steps. It rises twice more, since each descent went deeper.
SCHEDULE = (
    Part(200, 5e-4),
    Part(6000, 1e-3),
    Part(3000, 4e-4),
    Part(1300, 1e-4),
    Part(4000, 3e-4),
    Part(1500, 1e-4),
    Part(300, 3e-5),
    Part(2000, 3e-4, jokes=3),
    Part(600, 6e-5, jokes=3),
)
KINDS = {"Jokes": "[QUESTION]", "Verdicts": "[VERDICT]", "Small talk": "[USER]"}


def starter(out: Path = Path("models/starter"), work: Path = Path("checkpoint")) -> None:
    """Train the embedded default from its corpus and export it, with its card.

    Args:
        out: the bundle's folder
        work: where vocabulary, tokens and checkpoints of the training go; what an earlier one left there is replaced
    """
    train, held_out = documents()
    initial, run = work / "starter-initial", work / "starter"
    for folder in (initial, run):
        shutil.rmtree(folder, ignore_errors=True)
    learn_vocabulary(initial, train, VOCABULARY)
    tokenizer = Tokenizer.from_gpt2(initial)
    hparams = Hparams(n_vocab=len(tokenizer), **SHAPE)
    write_checkpoint(initial, hparams, initial_weights(hparams, SEED), vocabulary=initial)
    fine_tune(initial, {jokes: write_tokens(work, tokenizer, train, jokes) for _, _, jokes in SCHEDULE}, run)
    export(run, out, end=str(tokenizer.end_of_text), template="qa")
    write_card(out, train, held_out)


@dataclass(frozen=True)
class Line:
    """One idea of the corpus: what opens each slot when it is marked, and the slots' alternatives."""

    codes: tuple[str, ...]
    slots: tuple[tuple[str, ...], ...]
    joint: str

    def document(self, choice: random.Random) -> str:
        """One wording, marked three times out of four."""
        said = [choice.choice(slot) for slot in self.slots]
        if choice.random() >= PLAIN:
            said = [code + text for code, text in zip(self.codes, said, strict=True)]
        return self.joint.join(said)


def read_line(kind: str, record: dict[str, list[str]]) -> Line:
    if kind == "jokes":
        return Line(("[QUESTION] ", "[ANSWER] "), (tuple(record["question"]), tuple(record["answer"])), "\n")
    if kind == "smalltalk":
        slots = tuple(tuple(turn) for turn in record["turns"])
        return Line(tuple("[BOT] " if i % 2 else "[USER] " for i in range(len(slots))), slots, "\n")
    slots = ((f"{record['verdict']}.",), *(tuple(sentence) for sentence in record["said"]))
    return Line(("[VERDICT] ",) + ("",) * (len(slots) - 1), slots, " ")


def documents() -> tuple[list[str], list[str]]:
    """All documents, shuffled: those to train on and those held out. The same on every call."""
    choice = random.Random(SEED)
    parts: tuple[list[str], list[str]] = ([], [])
    for kind, wordings in WORDINGS.items():
        for number, text in enumerate((CORPUS / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()):
            line = read_line(kind, json.loads(text))
            wanted = {line.document(choice): None for _ in range(wordings)}
            parts[number % HELD_OUT == 0].extend(wanted)
    for part in parts:
        choice.shuffle(part)
    return parts


def learn_vocabulary(folder: Path, texts: Iterable[str], size: int) -> None:
    """Learn a byte-pair vocabulary and write it as gpt-2-simple's encoder.json and vocab.bpe."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size - 1, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    # The end of text comes last, as in GPT-2's own vocabulary.
    ids = learned["vocab"] | {END_OF_TEXT: len(learned["vocab"])}
    merges = [" ".join(pair) for pair in learned["merges"]]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "encoder.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "vocab.bpe").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")


def write_tokens(folder: Path, tokenizer: Tokenizer, texts: list[str], jokes: int) -> Path:
    """Write the texts as gpt-2-simple reads tokens, each followed by the end-of-text token."""
    again = [text for text in texts if text.startswith(KINDS["Jokes"])] * (jokes - 1)
    mixed = random.Random(SEED).sample(texts + again, k=len(texts) + len(again))
    path = folder / f"starter-{jokes}.npz"
    tokens = (token for text in mixed for token in (*tokenizer.encode(text), tokenizer.end_of_text))
    np.savez_compressed(path, np.fromiter(tokens, np.int32))
    return path


def fine_tune(initial: Path, tokens: dict[int, Path], run: Path) -> None:
    """Run gpt-2-simple's finetune over the schedule, each part going on from the last."""
    # Compiling the graph makes a step a fifth faster.
    os.environ.setdefault("TF_XLA_FLAGS", "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit")
    import gpt_2_simple
    import tensorflow as tf

    random.seed(SEED)  # gpt-2-simple picks its windows with it.
    tf.compat.v1.reset_default_graph()
    session = gpt_2_simple.start_tf_sess()
    for number, part in enumerate(SCHEDULE):
        gpt_2_simple.finetune(
            session,
            str(tokens[part.jokes]),
            steps=part.steps,
            model_name=initial.name,
            model_dir=str(initial.parent),
            run_name=run.name,
            checkpoint_dir=str(run.parent),
            restore_from="latest" if number else "fresh",
            batch_size=BATCH,
            accumulate_gradients=1,
            learning_rate=part.learning_rate,
            sample_every=10**9,
            save_every=1000,
            print_every=50,
        )
        session = gpt_2_simple.reset_session(session)


def mean_loss(engine: Engine, texts: Iterable[str]) -> float:
    """Nats per token that the model is surprised by texts, their ends included."""
    surprise, count = 0.0, 0
    for text in texts:
        prompt = start_tokens(engine, text)
        following = np.array([*prompt[1:], engine.end.token])
        logits = read_text(engine, prompt).astype(np.float64)
        surprise += float((np.logaddexp.reduce(logits, axis=-1) - logits[np.arange(len(prompt)), following]).sum())
        count += len(prompt)
    return surprise / count


def write_card(folder: Path, train: list[str], held_out: list[str]) -> None:
    """Write the model's card: what it is, how well it predicts, and ten samples of each kind, none of them picked."""
    from app.engine.onnx import OnnxEngine

    bundle = open_bundle(folder)
    engine = OnnxEngine(bundle, threads=1)
    lines = sum(len((CORPUS / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()) for kind in WORDINGS)
    known, unknown = mean_loss(engine, train[: len(held_out)]), mean_loss(engine, held_out)
    parts = [
        CARD.format(
            lines=lines,
            documents=len(train),
            held=len(held_out),
            known=known,
            unknown=unknown,
            kl=bundle.manifest.parity.mean_kl,
        )
    ]
    for title, code in KINDS.items():
        parts.append(f"## {title}: `prefix={code}`\n")
        parts += [quote(sample(engine, code, seed)) for seed in range(10)]
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def sample(engine: Engine, prefix: str, seed: int) -> str:
    options = Options(length=150, seed=seed, sampling=Sampling(temperature=0.7, top_p=0.8))
    return prefix + "".join(piece.text for piece in generate(engine, prepare(engine, prefix, options), options))


def quote(text: str) -> str:
    return "".join(f"> {line}  \n" for line in text.splitlines())


CARD = """# starter

The model that is served when you bring none: a GPT-2 of 4.5 million parameters (4 layers, 256 wide, 2 heads, window 1,024,
4,096 byte pairs), trained from nothing by gpt-2-simple on text written for this project and released under CC0:
{lines:,} ideas that unfold into {documents:,} documents. It tells small jokes, judges small conflicts and makes small
talk, in plain English, and knows nothing else. `make starter` makes it anew.

Surprise per token: {known:.2f} nats on documents it was trained on, {unknown:.2f} on the {held:,} documents of ideas it
never met. Rounding to 8 bits moved its predictions by {kl:.1e} nats.

It is at its best with `top_p=0.8`, which keeps it to what it knows well; without, about every other joke loses its
thread. Even so some sentences go wrong, those of jokes most often.

Below are ten samples of each kind at `temperature=0.7&top_p=0.8`, seeds 0 to 9, none picked or mended.
"""
