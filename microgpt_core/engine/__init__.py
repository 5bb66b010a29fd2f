"""The engine: tensors, the tape, and plans."""
