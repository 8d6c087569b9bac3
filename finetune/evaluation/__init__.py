"""What is measured of a checkpoint, and the page that shows it."""
