"""The roofline: what this machine could do, what a plan needs, and what is achieved of it."""
