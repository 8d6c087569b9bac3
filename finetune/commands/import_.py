"""`import`: turn a GPT-2 from Hugging Face into a checkpoint, or at once into a bundle.

    python -m finetune import FOLDER --out models/NAME
    python -m finetune import FOLDER --bundle
    python -m finetune import openai-community/gpt2 --bundle

A bundle needs no TensorFlow: its logits are compared with GPT-2 written out in NumPy. In models/ it becomes the default, as
one that `export` writes.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from app.engine.bundle import BATCH, FILES, read_manifest
from app.engine.default_bundle import is_bundle
from app.engine.templates import Template
from app.engine.vocabulary_files import VOCABULARY_FILES
from app.errors import SettingError
from finetune.default_choice import can_be_default, choose_new, refuse_name
from finetune.export.quantization import Bits
from finetune.folder import refuse_overwriting, replace_folder, written_aside
from finetune.formats.huggingface_conversion import BUNDLE_STEPS, write_bundle_of, write_checkpoint_of
from finetune.formats.huggingface_reader import HuggingFaceModel, read_huggingface
from finetune.formats.model_origin import ModelOrigin, find_origin
from finetune.progress_bar import progress_bar
from finetune.template_option import read_template


def import_(
    source: str,
    /,
    *,
    out: Path | None = None,
    bundle: bool = False,
    bits: Bits | None = None,
    template: Template | None = None,
    revision: str | None = None,
) -> None:
    """Turn a GPT-2 of Hugging Face, such as DialoGPT or distilgpt2, into a checkpoint, or into a bundle that the app serves.

    Args:
        source: a folder with config.json, model.safetensors and a tokenizer, or a model on the Hugging Face Hub, such as
            openai-community/gpt2, which is fetched; a folder of that name counts more
        out: the folder to write, by default models/ and the name of the source; a checkpoint's must be new, and a bundle there
            is replaced
        bundle: write a bundle at once, without TensorFlow
        bits: bits per weight of the bundle, as for `export`: 8 by default
        template: how a conversation is put to the bundle, as for `export`; by default as the folder's chat template says, if
            it is one that the app knows
        revision: the branch, tag or commit of a model on the Hub: main by default
    """
    if not bundle:
        for name, value in {"bits": bits, "template": template}.items():
            if value is not None:
                raise SettingError(
                    f"--{name} is {value}, and a checkpoint has none: add --bundle, or leave --{name} out."
                )
    origin = find_origin(source, revision)
    out = out or Path("models") / origin.name
    if bundle:
        import_bundle(origin, out, bits or 8, read_template("template", template) if template else None)
    else:
        import_checkpoint(origin, out)


def import_checkpoint(origin: ModelOrigin, out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"--out is {out}, which exists: name a new folder, so that no run is lost.")
    folder, title, _ = origin.fetch()
    model = read_huggingface(folder)
    with written_aside(out) as aside:
        write_checkpoint_of(model, aside)
        replace_folder(aside, out, VOCABULARY_FILES)
    print("\n".join([f"{out}: {shape_of(model)}, from {title}", *model.notes, *advice_on_export(model)]))


def import_bundle(origin: ModelOrigin, out: Path, bits: Bits, template: Template | None) -> None:
    refuse_overwriting(out, is_bundle(out), "a bundle")
    refuse_name(out)
    folder, title, facts = origin.fetch()
    with progress_bar("read", BUNDLE_STEPS + 1) as progress:
        model = read_huggingface(folder)
        progress.update()
        with written_aside(out) as aside:
            parity = write_bundle_of(model, aside, out.name, facts, bits, template or model.template, progress)
            replace_folder(aside, out, (*FILES, *BATCH, "manifest.json"))
    size = sum((out / name).stat().st_size for name in read_manifest(out).files) / 1e6
    measured = f"{size:.1f} MB at {bits} bits, mean divergence from {parity.reference} {parity.mean_kl:.1e} nats"
    chosen = [*choose_new(out), "Now: gpt2 chat"] if can_be_default(out) else []
    print("\n".join([f"{out}: {shape_of(model)}, from {title}", f"{out}: {measured}", *model.notes, *chosen]))


def shape_of(model: HuggingFaceModel) -> str:
    hparams = model.hparams
    return f"{hparams.n_layer} layers, {hparams.n_embd} wide, {hparams.n_vocab:,} tokens"


def advice_on_export(model: HuggingFaceModel) -> list[str]:
    """What a checkpoint cannot hold, as options of `export`."""
    pattern = shlex.quote(model.template.replace("\n", "\\n"))
    template = f" --template {pattern}" if model.template != "text" else ""
    if model.end is None:
        return []
    return [f"By config.json its texts end with token {model.end}: `export --end {model.end}{template}`."]
