"""Which entry points are installed, read from metadata alone: nothing of a pack is imported here."""

import logging
from importlib import metadata
from typing import NamedTuple

log = logging.getLogger(__name__)


class Point(NamedTuple):
    """An entry point and whose it is. Sorting gives the order in which packs load, the same everywhere."""

    distribution: str
    name: str
    version: str
    value: str  # "module" or "module:attribute"
    entry: metadata.EntryPoint


def entry_points(group: str) -> list[Point]:
    """The entry points of a group, in the order (distribution, name). Unreadable metadata is a warning."""
    found: dict[tuple[str, str], Point] = {}
    for distribution in metadata.distributions():
        try:
            entries = distribution.entry_points.select(group=group)
        except Exception as error:  # noqa: BLE001 - somebody else's metadata, broken in whatever way
            log.warning("the metadata of %s can't be read (%s); reinstall it", distribution.metadata["Name"], error)
            continue
        for entry in entries:
            point = Point(distribution.metadata["Name"], entry.name, distribution.version, entry.value, entry)
            found.setdefault((point.distribution, point.name), point)  # the first on sys.path is the one that imports
    return [found[key] for key in sorted(found)]
