"""What the generating routes reply, whole or streamed: one class for each route, all with the same methods."""
