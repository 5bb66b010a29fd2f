"""A run: its stages, its folder, and what is recorded of it; comparing and reading again what was recorded."""
