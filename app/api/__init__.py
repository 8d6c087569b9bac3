"""HTTP: what is asked (schemas), how it is read (body), and what is answered (generate, service)."""
