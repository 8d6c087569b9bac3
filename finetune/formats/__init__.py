"""Models in the formats of other programs: Hugging Face folders, GGUF files."""
