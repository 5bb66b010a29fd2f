"""Mish, an activation for microgpt, and its kernels for NumPy and in C."""

__version__ = "0.1.0"
