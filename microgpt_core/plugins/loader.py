"""Loading packs: each in isolation, taken in whole or not at all. One that fails costs a warning, not the program.

Nothing is kept here between calls, and nothing happens at import.
"""

import logging
from collections.abc import Collection, Iterable
from pathlib import Path
from types import ModuleType

from microgpt_core import __version__
from microgpt_core.hookspecs import GROUP
from microgpt_core.plugins.discovery import Point, entry_points
from microgpt_core.plugins.hooks import answers, checked, declared
from microgpt_core.plugins.one_file import read_file
from microgpt_core.plugins.pack import CORE, CORE_DISTRIBUTION, Pack, PluginError
from microgpt_core.plugins.registry import Registry

log = logging.getLogger(__name__)


def load(
    builtin: ModuleType, files: Iterable[str | Path] = (), disabled: Collection[str] = (), strict: bool = False
) -> Registry:
    """The core's own plugin, every installed pack, then one-file packs, in a registry.

    A pack whose name or distribution is in `disabled` isn't imported. An installed pack that fails is logged
    and stays in `registry.packs` with its error; with `strict` it raises PluginError, as a file that was named
    always does.
    """
    registry = Registry()
    components = checked(answers(declared(builtin)))
    registry.add(Pack(CORE, CORE_DISTRIBUTION, __version__, components))
    for point in entry_points(GROUP):
        pack = Pack(point.name, point.distribution, point.version)
        if {pack.name, pack.distribution} & set(disabled):
            registry.leave_out(pack, "disabled")
            continue
        try:
            add_installed(registry, pack, point)
        except (Exception, SystemExit) as error:  # whatever a stranger's module raises
            pack.error = error
            registry.leave_out(pack, "failed")
            if strict:
                raise PluginError(pack.failure) from error
            log.warning(pack.failure)
    for file in files:
        registry.add(read_file(file))
    return registry


def add_installed(registry: Registry, pack: Pack, point: Point) -> None:
    """Import a pack, ask its hooks, and add it to the registry; `pack.stage` says how far it came."""
    pack.stage = "import"
    plugin = point.entry.load()
    pack.stage = "hooks"
    manager = declared(plugin)
    pack.stage = "call"
    returned = answers(manager)
    pack.stage = "check"
    pack.components = checked(returned)
    pack.stage = "names"
    registry.add(pack)
    pack.stage = ""
