"""What is said of a stage besides its code: which stages come before it, what it reads, what it writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from microgpt_core.errors import ConfigurationError


@dataclass(frozen=True)
class Stage:
    """A function of the run. What it returns is kept in the run's folder as JSON, and given to who asks for it later.

    A stage that writes nothing is run every time; another one only where what it was made of has changed.
    """

    function: Callable[[Any], Any]
    after: tuple[str, ...] = ()  # stages that it builds on, wherever they are in the same pipeline
    reads: tuple[str, ...] = ()  # keys of the pipeline that it alone depends on, such as `generate`
    writes: tuple[str, ...] = ()  # files and folders in the run's folder

    def __post_init__(self) -> None:
        for name in ("__name__", "__doc__", "__module__"):  # what `microgpt list stages` says of it
            object.__setattr__(self, name, getattr(self.function, name))

    def __call__(self, run: Any) -> Any:
        return self.function(run)


def stage(
    *, after: tuple[str, ...] = (), reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()
) -> Callable[[Callable[[Any], Any]], Stage]:
    """`@stage(after=("train",), writes=("report.html",))` over a function of the run."""
    return lambda function: Stage(function, after, reads, writes)


def as_stage(name: str, found: Any) -> Stage:
    """A stage, or a bare function as one. Raises ConfigurationError for anything else."""
    if isinstance(found, Stage):
        return found
    if not callable(found):
        raise ConfigurationError(f"stage {name!r} is {found!r}, expected a function of the run")
    return Stage(found)
