"""The update rules: one op a file, its formula in the docstring, the same lines below in Python."""
