"""The parts that models are built from, one a file."""
