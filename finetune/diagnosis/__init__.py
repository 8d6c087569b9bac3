"""`gpt2 doctor`: what this machine and this account can do, and the command for what they cannot."""
