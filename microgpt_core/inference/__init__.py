"""Inference: text out of a trained model, one token at a time."""
