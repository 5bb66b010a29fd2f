"""Every op of microgpt in native code, as wide as this machine's vectors, with threads and replay of whole plans."""

__version__ = "0.1.0"
