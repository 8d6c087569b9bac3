"""From a checkpoint to the bundle that the app serves: the graph, its rounded weights, how far they stray."""
