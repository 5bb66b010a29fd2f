"""Training: what a run is told, how parameters move, and what is kept of it."""
