"""Measuring microgpt: training steps, single ops, generation, beside peers and under the roofline."""

__version__ = "0.1.0"
