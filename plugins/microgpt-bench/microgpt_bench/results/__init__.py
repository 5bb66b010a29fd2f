"""Results as data: what was measured, where it is kept, and how two of them compare."""
