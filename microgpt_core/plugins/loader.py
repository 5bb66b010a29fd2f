"""Loading packs: each in isolation, taken in whole or not at all. One that fails costs a warning, not the program.

Nothing is kept here between calls, and nothing happens at import.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from microgpt_core import __version__
from microgpt_core.hookspecs import API, FAMILY, GROUP
from microgpt_core.plugins.discovery import Point, entry_points
from microgpt_core.plugins.hooks import answers, checked, declared
from microgpt_core.plugins.isolation import import_limit
from microgpt_core.plugins.one_file import read_file
from microgpt_core.plugins.pack import CORE, CORE_DISTRIBUTION, Pack, PluginError
from microgpt_core.plugins.reader import module_file, read_pack
from microgpt_core.plugins.registry import Registry
from microgpt_core.plugins.selection import AllowCode, Plugins, select

log = logging.getLogger(__name__)

STRICT = "MICROGPT_STRICT_PLUGINS"

Reader = Callable[[Pack, Point, float], None]


def load(
    builtin: ModuleType,
    plugins: Plugins = (),
    strict: bool | None = None,
    read: Reader = read_pack,
) -> Registry:
    """The core's own plugin, every installed pack that may be imported, then one-file packs, in a registry.

    `plugins` are the files, a `Without` for each pack to leave out, and `AllowCode()` to run files that pipelines name.
    An installed pack
    that can't be used is logged and stays in `registry.packs` with its error; with `strict` (or
    MICROGPT_STRICT_PLUGINS=1) it raises PluginError, as a file that was named always does. Raises UnknownNameError
    for a NAME that isn't installed.
    """
    named, limit = list(plugins), import_limit()
    points, selection = entry_points(GROUP, FAMILY), select(named)
    selection.check(points)
    registry = Registry()
    registry.add(Pack(CORE, CORE_DISTRIBUTION, __version__, checked(answers(declared(builtin)))))
    for point in points:
        pack = Pack(point.name, point.distribution, point.version, file=module_file(point))
        if refusal := selection.refusal(point):
            registry.leave_out(pack, "disabled", PluginError(refusal))
            continue
        take_in(registry, pack, point, read, limit)
        for notice in pack.notices:
            log.warning(notice)
        if pack.failure and (strict or strict is None and os.environ.get(STRICT) == "1"):
            raise PluginError(pack.failure) from pack.error
        if pack.failure:
            log.warning(pack.failure)
    registry.allows_code = any(isinstance(given, AllowCode) for given in named)
    for given in named:
        if isinstance(given, str | Path):
            add_file(registry, given)
    return registry


def add_file(registry: Registry, file: str | Path) -> None:
    """Run a Python file and take in what it defines. Raises PluginError."""
    registry.add(pack := read_file(file))
    for notice in pack.notices:
        log.warning(notice)


def take_in(registry: Registry, pack: Pack, point: Point, read: Reader, limit: float) -> None:
    """Add a pack to the registry: with its components, or with the reason why it has none."""
    if point.entry.group != GROUP:
        registry.leave_out(pack, "incompatible", PluginError(other_version(point)))
        return
    try:
        read(pack, point, limit)
        pack.stage = "names"
        registry.add(pack)
        pack.stage = ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a stranger's module raises
        registry.leave_out(pack, "failed", error)


def other_version(point: Point) -> str:
    """What to install where a pack is made for another version of the hooks."""
    made_for = point.entry.group.removeprefix(f"{FAMILY}.v")
    update = f"microgpt plugins install --upgrade {point.distribution}"
    if not made_for.isdigit():
        return f"its entry point is in the group {point.entry.group!r}, microgpt reads {GROUP!r}; try: {update}"
    said = f"it is made for version {made_for} of the plugin API, {CORE_DISTRIBUTION} {__version__} has version {API}"
    if int(made_for) > API:
        older = f'microgpt plugins install "{point.distribution}<{point.version}"'
        return f"{said}; try: microgpt plugins install --upgrade {CORE_DISTRIBUTION}, or an older one: {older}"
    return f"{said}; try: {update}"
