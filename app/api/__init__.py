"""The HTTP API: one module for each route, and what the routes share."""
