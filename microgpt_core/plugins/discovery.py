"""Which entry points are installed, read from metadata alone: nothing of a pack is imported here."""

import logging
import re
from collections.abc import Iterator
from importlib import metadata
from typing import NamedTuple

log = logging.getLogger(__name__)

COMMAND_GROUP = "microgpt.commands.v1"  # of entry points: name = "module:click_command"


class Point(NamedTuple):
    """An entry point and whose it is. Sorting gives the order in which packs load, the same everywhere."""

    distribution: str
    name: str
    version: str
    value: str  # "module" or "module:attribute"
    entry: metadata.EntryPoint


def entry_points(group: str, family: str = "") -> list[Point]:
    """The entry points of a group, in the order (distribution, name). Unreadable metadata is a warning.

    With `family`, also those of every other group whose name begins so, unless `group` has the same name from the
    same distribution: that is how a pack serves two versions of microgpt.
    """
    found: dict[tuple[str, str], Point] = {}
    for distribution in metadata.distributions():
        try:
            points = list(points_of(distribution, group, family))
        except Exception as error:  # noqa: BLE001 - somebody else's metadata, broken in whatever way
            where = distribution.locate_file("")
            name = title(distribution)
            fix = f"try: microgpt plugins install --upgrade {name}" if name else f"delete what is left of it in {where}"
            log.warning("the metadata of %s in %s can't be read (%s); %s", name or "a distribution", where, error, fix)
            continue
        for point in points:
            found.setdefault((point.distribution, point.name), point)  # the first on sys.path is the one that imports
    return [found[key] for key in sorted(found)]


def points_of(distribution: metadata.Distribution, group: str, family: str) -> Iterator[Point]:
    """One distribution's entry points in a group, then those in the groups of its family."""
    every = distribution.entry_points
    wanted = [e for e in every if e.group == group]
    wanted += [e for e in every if family and e.group.startswith(family) and e.group != group]
    for entry in wanted:
        yield Point(str(distribution.metadata["Name"]), entry.name, str(distribution.version), entry.value, entry)


def title(distribution: metadata.Distribution) -> str:
    """A distribution's name; empty where it can't be read."""
    try:
        return str(distribution.metadata["Name"])
    except Exception:  # noqa: BLE001 - as above
        return ""


def normal(distribution: str) -> str:
    """Distribution names are equal whatever their case and separators."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
