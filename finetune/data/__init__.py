"""From files of text to rows of tokens: documents, copies among them, the vocabulary, what is held out, rows to train on."""
