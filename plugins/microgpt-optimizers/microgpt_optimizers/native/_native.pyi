"""What module.c has, for type checkers."""

from collections.abc import Mapping

functions: Mapping[str, Mapping[str, object]]
