"""What people liked: like rates with their uncertainty, and liked texts as training data."""
