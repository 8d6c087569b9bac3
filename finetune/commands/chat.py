"""`chat`: talk to a model in the terminal.

    gpt2 chat                          the bundle that would be served
    gpt2 chat jokes --temperature 0.9
    gpt2 chat jokes < messages.txt     each line is a message; only the replies are printed

A model that knows no turns continues what you write.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from finetune.opened_model import model_folder, opened_model
from finetune.terminal_chat import TerminalChat
from finetune.writing_options import WritingOptions

NOTHING_GIVEN = WritingOptions()


def chat(
    model: str | None = None, /, *, options: Annotated[WritingOptions, Parameter(name="*")] = NOTHING_GIVEN
) -> None:
    """Talk to a model in the terminal.

    Args:
        model: a bundle, a checkpoint or a run, such as jokes, models/jokes or checkpoint/run1; by default the bundle that
            would be served
        options: how it writes
    """
    options.check()
    with opened_model(model_folder(model)) as engine:
        TerminalChat(engine, options).run()
