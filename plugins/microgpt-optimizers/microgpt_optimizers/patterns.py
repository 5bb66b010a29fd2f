"""Which parameters a pattern means: those of that name, and those in a part of that name, as in `freeze:`."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from microgpt_core.errors import UnknownNameError, require
from microgpt_core.models.model import paths


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a parameter is meant: `block.0.mlp.fc1.weight` is by itself, by `block.0.mlp` and by `block.*.mlp`."""
    return any(fnmatchcase(path, pattern) for path in paths(name) for pattern in patterns)


def listed(field: str, given: object) -> list[str]:
    """One pattern, or a list of them. Raises ConfigurationError for anything else, and for none."""
    patterns = [given] if isinstance(given, str) else given
    allowed = isinstance(patterns, list) and bool(patterns) and all(isinstance(one, str) for one in patterns)
    require(allowed, field, repr(given), "a pattern, such as block.*.mlp, or a list of them")
    assert isinstance(patterns, list)
    return patterns


def check_patterns(field: str, patterns: Sequence[str], parameters: Iterable[str]) -> None:
    """Raise UnknownNameError, with the nearest name, for a pattern that means no parameter."""
    names = list(parameters)
    for pattern in patterns:
        if not any(matches(name, [pattern]) for name in names):
            known = dict.fromkeys(path for name in names for path in paths(name))
            raise UnknownNameError(f"parameter or part in {field}", pattern, known)
