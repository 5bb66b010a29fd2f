"""Mish, an activation for microgpt, and its kernel for NumPy."""

__version__ = "0.1.0"
