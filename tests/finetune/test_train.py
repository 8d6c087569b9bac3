"""Training on a tiny model: what is learned, what is kept, how it goes on, what it refuses."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import open_checkpoint
from app.engine.tensorflow import TensorflowEngine
from app.errors import CheckpointError, FatalError, SettingError
from finetune.checkpoint import initial_weights, newest_whole, read_weights, write_checkpoint
from finetune.commands.train import train
from finetune.data.prepared import open_data
from finetune.run_folder import RunFolder
from finetune.training.options import TrainingOptions
from tests.conftest import ROOT, in_a_process_of_its_own, run_module, write_tiny


@pytest.fixture(scope="module")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model `init` and text prepared for it, `data`."""
    folder = tmp_path_factory.mktemp("train")
    write_tiny(folder / "init")
    hparams = open_checkpoint(folder / "init").hparams
    write_checkpoint(folder / "init", hparams, initial_weights(hparams), vocabulary=folder / "init")
    (folder / "data").symlink_to(data)
    return folder


def options(base: Path, out: Path, **changes: Any) -> TrainingOptions:
    usual: dict[str, Any] = {
        "init": str(base / "init"),
        "steps": 12,
        "batch_size": 2,
        "save_every": 4,
        "learning_rate": 1e-2,
        "samples": 0,
    }
    return TrainingOptions(data=base / "data", out=out, **usual | changes)


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return read_weights(open_checkpoint(folder))


def logged(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_it_learns_and_leaves_a_run_that_shows_how(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    keras(train, options(base, run, steps=40, save_every=20, accumulate=2, samples=2, sample_length=10))
    losses = [float(row["train"]) for row in logged(run)]
    assert losses[-1] < losses[0] - 2
    validation = [float(row["validation"]) for row in logged(run) if row["validation"]]
    assert len(validation) == 2
    assert validation[1] < validation[0]
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert list((run / "events").iterdir())
    samples = (run / "samples.txt").read_text(encoding="utf-8")
    assert "step 20" in samples
    assert "step 40" in samples
    description = RunFolder(run).description
    assert description is not None
    assert (description.best_step, description.end) == (40, 299)
    assert open_checkpoint(run).step == open_checkpoint(run / "best").step == 40


def test_gpt_2_simple_reads_what_was_trained_here(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """Its own model and its own loader give the same logits as the network that trained."""
    keras(train, options(base, tmp_path / "run"))
    tokens = np.arange(30)
    theirs = TensorflowEngine(tmp_path / "run").all_logits(tokens)
    assert np.abs(theirs - keras(keras_logits, tmp_path / "run", tokens)).max() < 1e-4


def keras_logits(folder: Path, tokens: np.ndarray) -> np.ndarray:
    from keras import ops

    from finetune.training.gpt2 import GPT2

    source, weights = newest_whole(folder)
    model = GPT2(source.hparams)
    model.load(weights)
    inputs = {
        "tokens": tokens[None],
        "positions": np.arange(len(tokens))[None],
        "segments": np.ones((1, len(tokens)), np.int32),
    }
    return np.asarray(ops.convert_to_numpy(model.head(model(inputs)))[0])


def test_documents_in_one_row_do_not_see_each_other(base: Path, keras: Callable[..., Any]) -> None:
    together, alone = keras(packed_and_alone, base / "init")
    assert np.abs(together - alone).max() < 1e-5


def packed_and_alone(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    from keras import ops

    from finetune.training.gpt2 import GPT2

    source, weights = newest_whole(folder)
    model = GPT2(source.hparams)
    model.load(weights)
    tokens = np.arange(20)[None]
    row = {
        "tokens": tokens,
        "positions": np.array([[*range(8), *range(12)]]),
        "segments": np.array([[1] * 8 + [2] * 12]),
    }
    second = {name: array[:, 8:] for name, array in row.items()}
    together, alone = (ops.convert_to_numpy(model(inputs)) for inputs in (row, second))
    return together[:, 8:], alone


def test_unlikelihood_is_what_the_paper_says(base: Path, keras: Callable[..., Any]) -> None:
    """-log p of what is right, and -a log(1 - p) for each of the earlier tokens, as a set, that is not (arXiv 1908.04319)."""
    logits, loss, tokens, targets = keras(unlikelihood_loss, base / "init")
    p = np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))
    expected = []
    for segment in (range(5), range(5, 12)):
        for at in segment:
            earlier = {tokens[place] for place in segment if place <= at} - {targets[at], 299}
            expected.append(-np.log(p[at, targets[at]]) - 0.5 * sum(np.log(1 - p[at, token]) for token in earlier))
    assert loss == pytest.approx(np.mean(expected), abs=1e-4)


def unlikelihood_loss(folder: Path) -> tuple[np.ndarray, float, list[int], list[int]]:
    from keras import ops

    from finetune.training.gpt2 import GPT2

    source, weights = newest_whole(folder)
    model = GPT2(source.hparams, unlikelihood=0.5, end=299)
    model.load({name: w * 8 if w.ndim > 1 else w for name, w in weights.items()})
    # The second document says its end in its midst, as conversations do, and 7 twice.
    tokens = [299, 5, 6, 5, 9, 299, 7, 7, 299, 8, 7, 4]
    targets = [5, 6, 5, 9, 299, 7, 7, 299, 8, 7, 4, 299]
    inputs = {
        "tokens": np.array([tokens]),
        "positions": np.array([[*range(5), *range(7)]]),
        "segments": np.array([[1] * 5 + [2] * 7]),
    }
    hidden = model(inputs)
    x = {name: ops.convert_to_tensor(array, "int32") for name, array in inputs.items()}
    loss = model.compute_loss(x, ops.convert_to_tensor([targets], "int32"), hidden, ops.ones((1, 12)))
    return ops.convert_to_numpy(model.head(hidden))[0].astype(np.float64), float(loss), tokens, targets


def test_an_interrupted_run_ends_with_the_same_weights(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """Optimizer, learning rate and place in the data are all restored; accumulation and left-out control codes too."""
    common = options(base, tmp_path / "whole", steps=10, accumulate=2, warmup=3, save_every=5)
    keras(train, common)
    keras(stopped_after, replace(common, out=tmp_path / "parts"), 7)
    assert open_checkpoint(tmp_path / "parts").step == 7
    keras(train, replace(common, out=tmp_path / "parts", resume=True))
    whole, parts = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    assert [row["step"] for row in logged(tmp_path / "parts")] == [str(step) for step in range(1, 11)]


def stopped_after(options: TrainingOptions, steps: int) -> None:
    """Train, with a signal as Ctrl-C sends it after so many steps."""
    from finetune.training.trainer import Trainer

    class Stopping(Trainer):
        count = 0

        def step(self, batches: Any) -> float:
            Stopping.count += 1
            if Stopping.count == steps:
                signal.raise_signal(signal.SIGINT)
            return super().step(batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.training.loop.Trainer", Stopping)
        with pytest.raises(SystemExit, match="130"):
            train(options)


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16"},
        {"precision": "float16"},
        {"xla": True},
        {"gradient_checkpointing": True},
        {"unlikelihood": 0.5, "clip": 0.0},
        {"packing": "windows", "decay_to": 1.0, "weight_decay": 0.0},
        {"context": 32},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_way_of_training_learns(
    base: Path, keras: Callable[..., Any], tmp_path: Path, changes: dict[str, Any]
) -> None:
    keras(train, options(base, tmp_path / "run", **changes))
    losses = [float(row["train"]) for row in logged(tmp_path / "run")]
    assert losses[-1] < losses[0] - 0.5


def test_gradient_checkpointing_changes_nothing_but_memory(
    base: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    for name, on in (("off", False), ("on", True)):
        keras(train, options(base, tmp_path / name, steps=4, gradient_checkpointing=on))
    without, checkpointed = ([float(row["train"]) for row in logged(tmp_path / name)] for name in ("off", "on"))
    assert checkpointed == pytest.approx(without, abs=1e-4)


def test_frozen_parts_stay_as_they_are(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    before = weights_of(base / "init")
    for name, freeze in (("embeddings", "embeddings"), ("layers", 2)):
        keras(train, options(base, tmp_path / name, steps=3, save_every=3, freeze=freeze))
    embeddings, layers = weights_of(tmp_path / "embeddings"), weights_of(tmp_path / "layers")
    assert {name for name in before if np.array_equal(before[name], embeddings[name])} == {"wte", "wpe"}
    kept = {name for name in before if np.array_equal(before[name], layers[name])}
    assert kept == {"wte", "wpe", *(name for name in before if name.startswith(("h0/", "h1/")))}


def test_lora_learns_is_added_in_and_goes_on(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    common = options(base, tmp_path / "whole", steps=8, lora=4, learning_rate=1e-2)
    keras(train, common)
    keras(stopped_after, replace(common, out=tmp_path / "parts"), 5)
    keras(train, replace(common, out=tmp_path / "parts", resume=True))
    before, whole, parts = (weights_of(folder) for folder in (base / "init", tmp_path / "whole", tmp_path / "parts"))
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    changed = {name for name in before if not np.array_equal(before[name], whole[name])}
    assert changed == {name for name in before if name.endswith("/w")}
    assert np.linalg.matrix_rank(whole["h0/mlp/c_fc/w"][0] - before["h0/mlp/c_fc/w"][0], tol=1e-4) <= 4


def test_from_scratch_with_the_vocabulary_of_the_data(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 16, "n_ctx": 32}
    keras(train, options(base, tmp_path / "run", init="scratch", steps=4, **shape))
    assert open_checkpoint(tmp_path / "run").hparams == Hparams(n_vocab=300, **shape)


def test_jax_trains_the_same(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """The loop calls no TensorFlow: the same run on another backend, here on two devices that share each batch."""
    keras(train, options(base, tmp_path / "tensorflow"))
    arguments = ["--data", base / "data", "--init", base / "init", "--out", tmp_path / "jax", "--samples", 0]
    numbers = ["--steps", 12, "--batch_size", 2, "--save_every", 4, "--learning_rate", 1e-2]
    flags = "--xla_force_host_platform_device_count=2"
    environ = {"KERAS_BACKEND": "jax", "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    ended = run_module("finetune", "train", *map(str, arguments + numbers), **environ)
    assert ended.returncode == 0, ended.stderr
    ours, theirs = ([float(row["train"]) for row in logged(tmp_path / name)] for name in ("tensorflow", "jax"))
    assert theirs == pytest.approx(ours, abs=1e-2)


def test_it_stops_when_the_validation_loss_does(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    keras(train, options(base, tmp_path / "run", steps=200, save_every=2, learning_rate=0.3, decay_to=1.0, patience=2))
    steps = [int(row["step"]) for row in logged(tmp_path / "run")]
    description = RunFolder(tmp_path / "run").description
    assert description is not None
    assert description.best_step is not None
    assert steps[-1] == description.best_step + 4 < 200
    assert open_checkpoint(tmp_path / "run" / "best").step == description.best_step


def test_ctrl_c_saves_says_so_and_leaves_no_process(base: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "finetune",
        "train",
        "--data",
        base / "data",
        "--init",
        base / "init",
        "--out",
        run,
    ]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*map(str, command), "--steps", "100000", "--save_every", "5"],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        while not (run / "log.csv").exists() and child.poll() is None:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "--resume continues" in said
    assert "Traceback" not in said
    assert logged(run)[-1]["step"] == str(open_checkpoint(run).step)
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


def test_a_damaged_save_is_passed_over(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """A half-written checkpoint: the one before is used, and it says so."""
    run = tmp_path / "run"
    keras(train, options(base, run, steps=8))
    data = run / "model-8.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    assert newest_whole(run)[0].save == "model-4"
    keras(train, options(base, run, steps=8, resume=True))
    assert newest_whole(run)[0].save == "model-8"


def test_only_the_last_two_saves_are_kept(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    keras(train, options(base, tmp_path / "run"))
    assert {path.stem for path in (tmp_path / "run").glob("model-*.index")} == {"model-8", "model-12"}
    assert {path.stem for path in (tmp_path / "run").glob("training-*.npz")} == {"training-8", "training-12"}


def test_gpt_2_simple_runs_go_on_here(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """One trained there resumes here, where it stood: two steps of next to no length lead next to nowhere."""
    run = tmp_path / "run"
    hparams = open_checkpoint(base / "init").hparams
    write_checkpoint(run, hparams, initial_weights(hparams, seed=5), vocabulary=base / "init", step=3)
    keras(train, options(base, run, steps=5, resume=True, learning_rate=1e-30, weight_decay=0.0))
    assert open_checkpoint(run).step == 5
    before = initial_weights(hparams, seed=5)
    after = weights_of(run)
    assert all(np.allclose(after[name], before[name], rtol=0, atol=1e-25) for name in before)


def test_the_old_way(base: Path, tmp_path: Path) -> None:
    shape = ["--init", "scratch", "--n_layer", "1", "--n_head", "2", "--n_embd", "16", "--n_ctx", "1024"]
    arguments = ["--data", str(base / "data"), "--out", str(tmp_path / "run"), "--trainer", "gpt-2-simple"]
    ended = run_module("finetune", "train", *arguments, *shape, "--steps", "3", "--samples", "0")
    assert ended.returncode == 0, ended.stderr
    assert open_checkpoint(tmp_path / "run").step == 3
    assert "loss=" in ended.stdout


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": 0}, "--steps is 0: give 1 or more."),
        ({"decay_to": 2.0}, "--decay_to is 2.0: give a share from 0 to 1."),
        ({"learning_rate": float("nan")}, "--learning_rate is nan: give a number above 0, such as 1e-4."),
        ({"context": 65}, "--context is 65 and the model's window is 64: give 2 to 64."),
        ({"init": "nowhere"}, "--init is nowhere: give 124M"),
        ({"init": "355M"}, "`python -m finetune download 355M` fetches it."),
        ({"resume": True}, "has no run to continue: leave --resume out."),
        ({"lora": 4, "freeze": "embeddings"}, "leave --freeze out."),
        ({"trainer": "gpt-2-simple", "warmup": 3}, "--warmup is not supported by gpt-2-simple"),
        ({"init": "scratch", "n_embd": 10, "n_head": 3}, "cannot be divided"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_does_not_fit_is_one_sentence(base: Path, tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FatalError, match=r"^[^\n]+$") as refused:
        train(options(base, tmp_path / "run", **changes))
    assert sentence in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten_and_options_do_not_change_under_way(
    base: Path, keras: Callable[..., Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    keras(train, options(base, run, steps=4))
    with pytest.raises(SettingError, match="a run at step 4: add --resume"):
        train(options(base, run))
    with pytest.raises(SettingError, match=r"--learning_rate is 0.1 and was 0.01 when"):
        train(options(base, run, resume=True, learning_rate=0.1))
    with pytest.raises(SettingError, match="is at step 4 already: give a higher --steps"):
        train(options(base, run, resume=True, steps=4))


def test_another_vocabulary_is_refused(base: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "other")
    (tmp_path / "other/vocab.bpe").write_text("#version: 0.2\n", encoding="utf-8")
    with pytest.raises(FatalError, match="prepared with a different vocabulary"):
        train(options(base, tmp_path / "run", init=str(tmp_path / "other")))


def test_a_full_disk_loses_no_save(base: Path, tmp_path: Path) -> None:
    """The limit on a file's size stands for the disk: the next save does not fit, the one before is whole."""
    run = tmp_path / "run"
    code = """
import resource, signal, sys
from finetune import run_folder
from finetune.__main__ import main

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
save, limits = run_folder.RunFolder.save, resource.getrlimit(resource.RLIMIT_FSIZE)

def later(self, hparams, weights, vocabulary, step, state):
    if step > 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        save(self, hparams, weights, vocabulary, step, state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

run_folder.RunFolder.save = later
sys.exit(main(sys.argv[1:]))
"""
    arguments = [
        "train",
        "--data",
        base / "data",
        "--init",
        base / "init",
        "--out",
        run,
        "--steps",
        12,
        "--save_every",
        4,
    ]
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments), "--samples", "0"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert newest_whole(run)[0].step == 4
    assert {path.name for path in run.glob("model-8*")} == set()


def test_a_damaged_training_state_is_said(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    keras(train, options(base, run, steps=4))
    (run / "training-4.npz").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=r"training-4\.npz is damaged: delete it"):
        train(options(base, run, resume=True))


def test_ten_steps_give_gpt_2_simples_losses(base: Path, keras: Callable[..., Any], tmp_path: Path) -> None:
    """From the same weights, on the same windows, with the same learning rate."""
    hparams = Hparams(n_vocab=300, n_ctx=1024, n_embd=16, n_head=2, n_layer=1)
    write_checkpoint(tmp_path / "init", hparams, initial_weights(hparams), vocabulary=base / "init")
    theirs = in_a_process_of_its_own(gpt_2_simples_losses, tmp_path / "init", base / "data", tmp_path)
    plain = {"decay_to": 1.0, "weight_decay": 0.0, "clip": 0.0, "packing": "windows", "batch_size": 1}
    keras(train, options(base, tmp_path / "run", init=str(tmp_path / "init"), steps=10, save_every=20, **plain))
    ours = [float(row["train"]) for row in logged(tmp_path / "run")]
    assert theirs[0] - theirs[-1] > 0.2
    assert ours == pytest.approx(theirs, abs=1e-3)


def gpt_2_simples_losses(init: Path, data: Path, work: Path) -> list[float]:
    from benchmarks.training import gpt_2_simples_run

    return gpt_2_simples_run(init, open_data(data), work, steps=10, learning_rate=1e-2)[0]
