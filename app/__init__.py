"""What runs in the container: `python -m app` serves a fine-tuned GPT-2 over HTTP."""

__version__ = "0.1.0"
