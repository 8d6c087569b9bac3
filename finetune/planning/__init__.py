"""Planning for `new`: what to train on this machine with this text, so that nobody has to choose."""
