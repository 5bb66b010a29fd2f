"""Packs: how they are found, loaded in isolation, and asked for their components by name."""
