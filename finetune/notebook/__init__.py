"""What the notebook needs besides the verbs: missing packages, the GPU's settings, a run shown while it trains."""
