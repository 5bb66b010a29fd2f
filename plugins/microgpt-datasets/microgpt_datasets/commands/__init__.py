"""The commands of the pack, thin: what they do is in preparing/ and statistics.py."""
