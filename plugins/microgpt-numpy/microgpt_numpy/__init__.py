"""Every op of microgpt on NumPy: `backend: numpy`. The shortest complete backend, to read before writing another."""

__version__ = "0.1.0"
