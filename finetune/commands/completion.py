"""`completion`: a script with which your shell completes verbs and options.

source <(gpt2 completion bash)
"""

from __future__ import annotations

from typing import Literal

from finetune.command_line import command_line


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the script that completes verbs and options in a shell.

    Args:
        shell: bash, zsh or fish
    """
    print(command_line().generate_completion(shell=shell))
