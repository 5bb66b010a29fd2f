"""The update rules on NumPy, for the backend numpy."""
