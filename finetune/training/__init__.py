"""What a training step is, and the way from the first to the last."""
