"""What people liked, and whether they can tell models from people: rates with their uncertainty, and training data."""
