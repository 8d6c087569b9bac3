"""`completion`: a script with which your shell completes verbs and options.

source <(gpt2 completion bash)
"""

from __future__ import annotations

from typing import Literal

from finetune.command_line import command_line

# Cyclopts' script for bash completes no file's name where an argument has no type of its own. Its script for zsh only defines a
# function, which works in a file of that function's name alone.
BASH = "complete -F _gpt2 gpt2", "complete -o bashdefault -o default -F _gpt2 gpt2"
ZSH = """
if [[ $funcstack[1] = _* ]]; then
  _cyclopts_gpt2 "$@"
else
  compdef _cyclopts_gpt2 gpt2
fi
"""


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the script that completes verbs and options in a shell.

    Args:
        shell: bash, zsh or fish
    """
    script = command_line().generate_completion(shell=shell)
    print(script.replace(*BASH) + (ZSH if shell == "zsh" else ""))
