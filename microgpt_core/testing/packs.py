"""What a pack promises beside what its components do: a version, and an import that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path

from microgpt_core.errors import UnknownNameError
from microgpt_core.hookspecs import GROUP
from microgpt_core.plugins.pack import CORE, Pack
from microgpt_core.plugins.registry import Registry
from microgpt_core.testing.components import component_checks
from microgpt_core.testing.import_time import import_time
from microgpt_core.testing.report import Check, checks

IMPORT_LIMIT = 0.1  # seconds of processor time


def find_pack(registry: Registry, name: str) -> Pack:
    """A pack by its name, its distribution's or its file's. Raises UnknownNameError."""
    for pack in registry.packs:
        if name == pack.name or plain(name) == plain(pack.distribution) or Path(name) == Path(pack.distribution):
            return pack
    short, known = plain(name).removeprefix("microgpt-"), [pack.name for pack in registry.packs if pack.name != CORE]
    raise UnknownNameError("pack", short, known, "Install a pack to test it, or name a Python file")


def plain(distribution: str) -> str:
    """Package indexes don't tell `-` from `_`, nor capitals."""
    return distribution.lower().replace("_", "-")


def pack_checks(pack: Pack, registry: Registry) -> list[Check]:
    """Every check of a pack and of all that it brings."""
    if pack.state != "ok":
        return [Check(f"pack {pack.name}", "loads", lambda: [pack.failure])]
    installed = pack.name != CORE and bool(pack.version)
    found = checks(f"pack {pack.name}", RULES, lambda: pack) if installed else []
    for kind, components in pack.components.items():
        for name in components:
            found += component_checks(pack, registry, kind, name)
    return found


def module_of(pack: Pack) -> str:
    """The module with an installed pack's hooks."""
    points = metadata.distribution(pack.distribution).entry_points.select(group=GROUP, name=pack.name)
    return next(iter(points)).module


def imports_quickly(pack: Pack) -> Iterator[str]:
    """The module with the hooks imports nothing heavy: every command waits for it."""
    module = module_of(pack)
    seconds, brought = import_time(module)
    if seconds > IMPORT_LIMIT:
        others = f" (it imports {', '.join(brought)})" if brought else ""
        yield (
            f"importing {module} takes {seconds:.2f} s of processor time, allowed {IMPORT_LIMIT:g}{others}; "
            "return 'module:Class' from the hooks, which is imported when it is used"
        )


def has_one_version(pack: Pack) -> Iterator[str]:
    """The package's `__version__`, if it has one, is the distribution's version."""
    package = import_module(module_of(pack).partition(".")[0])
    if (said := getattr(package, "__version__", pack.version)) != pack.version:
        yield f"{package.__name__}.__version__ is {said!r}, but {pack.distribution} {pack.version} is installed"


RULES = (imports_quickly, has_one_version)
