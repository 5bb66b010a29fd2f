"""What native.pyx has, for type checkers."""

functions: dict[str, object]
