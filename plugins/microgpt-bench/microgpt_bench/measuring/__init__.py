"""Measuring: candidates in processes of their own, timed in turn."""
