"""Models: what is computed from tokens to logits, written with the engine's ops."""
