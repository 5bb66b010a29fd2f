"""Byte-pair encoding: learning the merges, applying them, and the component that a pipeline names."""
