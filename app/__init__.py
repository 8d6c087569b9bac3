"""The program in the container: serves a fine-tuned GPT-2 over HTTP and to a Telegram bot."""

__version__ = "0.1.0"
