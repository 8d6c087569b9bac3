"""`download`: fetch one of OpenAI's GPT-2 models.

    python -m finetune download 124M

finetune/openai_weights.py does the work.
"""

from __future__ import annotations

from pathlib import Path

from app.errors import CheckpointError, SettingError
from finetune.openai_shapes import OpenaiModel
from finetune.openai_weights import fetch_model, verify


def download(model: OpenaiModel, /, *, models: Path = Path("models")) -> None:
    """Fetch one of OpenAI's models through gpt-2-simple, resume a transfer that broke off, and verify it.

    Args:
        model: 124M (0.5 GB), 355M (1.4 GB), 774M (3.1 GB) or 1558M (6.2 GB)
        models: the folder to put the model's folder in; gpt-2-simple looks in models
    """
    out = models / model
    if out.exists():
        refuse_another_model(out, model)
        print(f"{out} is already there and complete.")
        return
    size = fetch_model(model, models)
    print(f"{out}: {size / 1e6:,.0f} MB; every tensor matches its checksum.")


def refuse_another_model(out: Path, model: OpenaiModel) -> None:
    try:
        verify(out, model)
    except CheckpointError as error:
        raise SettingError(
            f"{out} exists and is not {model}: move it away, then download again ({error.problem})."
        ) from None
