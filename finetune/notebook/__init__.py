"""What the notebook needs besides the verbs: missing packages, the GPU, a verb that can be interrupted, the live page."""
