"""Training: options, starting point, network, learning-rate schedule, loop, validation."""
