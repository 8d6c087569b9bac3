"""From a checkpoint to a bundle that the app serves, or to an engine that runs it here."""
