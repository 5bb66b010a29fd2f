"""Other programs, measured beside microgpt."""
