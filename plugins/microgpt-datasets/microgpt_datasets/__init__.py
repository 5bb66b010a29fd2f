"""Text from wherever it is, made ready to learn from: datasets, transforms, `microgpt data prepare` and `stats`."""

__version__ = "0.1.0"
