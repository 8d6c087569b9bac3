"""The command line: one verb a file. A verb holds its options, its refusals and what it prints; nothing imports it."""
