"""`import`: turn a GPT-2 from Hugging Face into a checkpoint.

python -m finetune import FOLDER --out models/NAME
"""

from __future__ import annotations

from pathlib import Path

from app.engine.vocabulary_files import VOCABULARY_FILES
from app.errors import SettingError
from finetune.folder import replace_folder, written_aside
from finetune.formats.huggingface_reader import convert_to_checkpoint


def import_(source: Path, out: Path) -> None:
    """Turn a Hugging Face folder of a GPT-2, such as DialoGPT or distilgpt2, into a checkpoint that gpt-2-simple loads.

    Args:
        source: the Hugging Face folder, with config.json, model.safetensors and a tokenizer
        out: the checkpoint's folder, such as models/distilgpt2; it must be new
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"--out is {out}, which exists: name a new folder, so that no run is lost.")
    with written_aside(out) as aside:
        hparams, notes = convert_to_checkpoint(source, aside)
        replace_folder(aside, out, VOCABULARY_FILES)
    shape = f"{hparams.n_layer} layers, {hparams.n_embd} wide, {hparams.n_vocab:,} tokens"
    print("\n".join([f"{out}: {shape}, from {source}", *notes]))
