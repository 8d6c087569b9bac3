"""Generation with a GPT-2: from prompt tokens to text, with no knowledge of HTTP or settings."""
