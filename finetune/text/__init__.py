"""Files → documents → what is kept of them."""
