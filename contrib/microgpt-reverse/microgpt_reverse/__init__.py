"""A tokenizer that counts the alphabet from its end, and an analyzer that asks how sure a model is."""

__version__ = "0.1.0"
