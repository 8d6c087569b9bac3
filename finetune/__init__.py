"""What makes a model: `python -m finetune VERB`, a module a verb. The app never imports it."""
