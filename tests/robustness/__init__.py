"""What a public endpoint has to survive: small in `make test`, at full size in `make torture`."""
