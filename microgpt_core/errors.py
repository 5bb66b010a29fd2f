"""Every error that microgpt raises on purpose, one class per kind.

An error says where, what was found, what is allowed and what to do next. `exit_code` is what the
command line returns for it.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from errno import EDQUOT, EFBIG, ENOSPC
from os.path import commonprefix


class MicrogptError(Exception):
    """The base of them all: catch this to catch whatever microgpt refuses."""

    exit_code = 1


class ConfigurationError(MicrogptError, ValueError):
    """A pipeline, a command line or a component's fields ask for something that can't be."""

    exit_code = 2


class UnknownNameError(ConfigurationError):
    """A name that nothing answers to."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        known = sorted(known)
        message = f"unknown {kind} {name!r}{nearest(name, known)}; known: {', '.join(known) or 'none'}"
        super().__init__(f"{message}. {hint}" if hint else message)
        self.name, self.known = name, known


class DataError(MicrogptError, ValueError):
    """Text or numbers that can't be trained on: empty, unreadable, or outside the vocabulary."""

    exit_code = 2


class SignatureError(MicrogptError, TypeError):
    """An op whose methods contradict each other, or a call that doesn't fit an op's signature."""


class ShapeError(MicrogptError, ValueError):
    """A buffer of the wrong shape or number format, named by op and argument."""


class CaptureError(MicrogptError, RuntimeError):
    """Something that has no meaning while a plan is being written down, or in a replay."""


class StaleError(MicrogptError, RuntimeError):
    """A plan's output was read after a later replay had overwritten it."""


class CheckpointError(MicrogptError, ValueError):
    """A saved file that is damaged, incomplete, or not what it says it is."""


class NonFiniteError(MicrogptError, ArithmeticError):
    """Infinity or NaN in a loss, a gradient or a weight."""

    exit_code = 3


class DoesNotFitError(MicrogptError, MemoryError):
    """More memory or disk is needed than there is."""

    exit_code = 4


class Interrupted(KeyboardInterrupt):
    """A signal ended a run: Ctrl-C, or SIGTERM."""

    def __init__(self, signal: int, advice: str = "") -> None:
        super().__init__(f"stopped{advice and f'; {advice}'}")
        self.signal, self.exit_code = signal, 128 + signal


class StorageError(MicrogptError, OSError):
    """A file or folder that couldn't be saved: no room, no permission, or a failing disk."""

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno
        if errno in (ENOSPC, EDQUOT, EFBIG):
            self.exit_code = DoesNotFitError.exit_code


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'relu2'?)`, or nothing where no known name is close."""
    names = list(known)
    same = [n for n in names if n.lower() == name.lower()] or [n for n in names if one_slip(name, n)]
    close = get_close_matches(name, same, n=1, cutoff=0.0) or get_close_matches(name, names, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def one_slip(a: str, b: str) -> bool:
    """Whether two words differ by one letter more, less or other, or by two neighbours that have changed places."""
    start = len(commonprefix([a, b]))
    a, b = a[start:], b[start:]
    end = len(commonprefix([a[::-1], b[::-1]]))
    a, b = a[: len(a) - end], b[: len(b) - end]
    return max(len(a), len(b)) <= 1 <= start + end or (len(a) == 2 and a == b[::-1])


def require(allowed: bool, field: str, found: object, words: str) -> None:
    """Raise ConfigurationError naming a component's field, unless its value is allowed."""
    if not allowed:
        raise ConfigurationError(f"{field}: found {found}, allowed: {words}")
