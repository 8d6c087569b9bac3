"""`python -m finetune VERB`: from text to a model that the app serves. A verb's options are its function's arguments."""

from __future__ import annotations

import os
import sys

# TensorFlow is talkative about drivers and instruction sets; set before anything imports it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from jsonargparse import auto_cli

from app.errors import StartError
from finetune.export import export
from finetune.starter import starter


def main(arguments: list[str] | None = None) -> int:
    try:
        auto_cli([export, starter], args=arguments, prog="python -m finetune", as_positional=False)
    except StartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"error: {error.filename or 'the disk'}: {error.strerror}; nothing was left half-written.", file=sys.stderr
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing was left half-written.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
