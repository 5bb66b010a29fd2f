"""What is wrong with numbers, in words: a factor, a sign, one element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from statistics import median
from typing import TypeAlias

from microgpt_core.components import Shape

Close: TypeAlias = Callable[[float, float], bool]


def diagnose(mine: Sequence[float], true: Sequence[float], close: Close) -> str | None:
    """What is wrong with numbers, in words; None where nothing is."""
    wrong = [i for i, (m, t) in enumerate(zip(mine, true)) if not close(m, t)]
    if not wrong:
        return None
    if all(close(m, 0.0) for m in mine):
        return "is missing: all zeros"
    large = max(map(abs, true))
    factor = median([m / t for m, t in zip(mine, true) if abs(t) >= 0.01 * large and t]) if large else inf
    if all(close(m, factor * t) for m, t in zip(mine, true)):
        return f"{in_words(factor)} everywhere"
    offset = median([m - t for m, t in zip(mine, true)])
    if all(close(m, t + offset) for m, t in zip(mine, true)):
        return f"is {offset:+.4g} off everywhere"
    return f"is wrong in {len(wrong)} of {len(mine)} numbers"


def in_words(factor: float) -> str:
    """How numbers compare that are `factor` times the true ones."""
    size = abs(factor)
    too = f"is {size:.2f} times too large" if size > 1.0 else f"is {1.0 / size:.2f} times too small"
    sign = ["has the wrong sign"] if factor < 0.0 else []
    return " and ".join(sign if 0.999 < size < 1.001 else [*sign, too])


def furthest(mine: Sequence[float], true: Sequence[float]) -> int:
    """The place where numbers differ most; NaN differs more than anything."""
    errors = [abs(m - t) if m == m else inf for m, t in zip(mine, true)]
    return errors.index(max(errors))


def index_of(place: int, shape: Shape) -> list[int]:
    """Where the number at `place` of a row stands in a shape: [1, 2]."""
    index: list[int] = []
    for size in reversed(shape):
        place, i = divmod(place, size)
        index.insert(0, i)
    return index
