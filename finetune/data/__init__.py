"""From text files to rows of tokens: formats, duplicates, validation split, packing."""
