"""Bytes to text: which files there are, what is in archives, and what an encoding says."""
