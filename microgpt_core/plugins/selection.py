"""Which of the installed packs may be imported, as the environment and the command line say. Metadata is enough.

`MICROGPT_PLUGINS=a,b` allows these packs and no others, empty: none. `--no-plugin a` leaves one out; to a program
that is `Without("a")` among its `plugins`. A pack goes by its name or by its distribution's.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from microgpt_core.errors import UnknownNameError, nearest
from microgpt_core.plugins.discovery import Point, entry_points, normal
from microgpt_core.plugins.pack import CORE

log = logging.getLogger(__name__)

VARIABLE = "MICROGPT_PLUGINS"


@dataclass(frozen=True)
class Without:
    """Among the `plugins` that a program asks for: leave this installed pack out, and import nothing of it."""

    name: str


@dataclass(frozen=True)
class AllowCode:
    """Among the `plugins` that a program asks for: run the Python files that a pipeline's `plugins:` names, too."""


# One-file packs to read, installed ones to leave out, and whether a pipeline may name files.
Plugins: TypeAlias = Iterable[str | Path | Without | AllowCode]


@dataclass(frozen=True)
class Selection:
    """What was asked for, each name as it was written."""

    allowed: list[str] | None  # None: all
    left_out: list[str]

    def refusal(self, point: Point) -> str | None:
        """What keeps a pack from being imported; None where nothing does."""
        names = {normal(point.name), normal(point.distribution)}
        if names & set(map(normal, self.left_out)):
            return "--no-plugin leaves it out"
        if self.allowed is not None and not names & set(map(normal, self.allowed)):
            return f"{VARIABLE} doesn't name it"
        return None

    def check(self, points: Iterable[Point]) -> None:
        """Raise UnknownNameError for a name to leave out that no pack has; one in the environment is a warning.

        An environment outlives the packs that were installed when it was written.
        """
        known = {name for point in points for name in (point.name, point.distribution)}
        found = set(map(normal, {CORE, *known}))
        for name in self.left_out:
            if normal(name) not in found:
                raise UnknownNameError("pack", name, known)
        for name in self.allowed or ():
            if normal(name) not in found:
                log.warning("%s names %r, which isn't installed%s", VARIABLE, name, nearest(name, known))


def select(plugins: Plugins) -> Selection:
    """What the environment allows, less what is left out among `plugins`."""
    given = os.environ.get(VARIABLE)
    allowed = None if given is None else [name.strip() for name in given.split(",") if name.strip()]
    return Selection(allowed, [p.name for p in plugins if isinstance(p, Without)])


def command_refusal(command: Point) -> str | None:
    """What keeps a command from being imported: that none of its distribution's packs may be."""
    from microgpt_core.hookspecs import FAMILY, GROUP  # brings pluggy, which --help does without

    packs = [point for point in entry_points(GROUP, FAMILY) if point.distribution == command.distribution]
    refusals = [select(()).refusal(point) for point in packs or [command]]
    return refusals[0] if all(refusals) else None
