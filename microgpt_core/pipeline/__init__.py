"""Pipelines: one YAML file read, checked and made into components; then its stages, one after the other."""
