"""Chat exports: the messages that people wrote to each other, and the conversations to learn from."""
