"""The replies of the generating routes, whole or streamed: one class for each route."""
