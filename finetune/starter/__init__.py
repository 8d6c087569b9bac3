"""What the embedded default is made of: the ideas of its corpus, and its model card."""
