"""The training command line, `python -m finetune VERB`: from text to a bundle for the app."""
