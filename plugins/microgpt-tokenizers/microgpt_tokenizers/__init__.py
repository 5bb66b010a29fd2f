"""Tokenizers for your own text: `word`, `bpe` and `bytes`, ready vocabularies, and what they make of a text."""

__version__ = "0.1.0"
