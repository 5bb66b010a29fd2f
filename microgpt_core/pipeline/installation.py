"""What `microgpt doctor` finds: this installation, this machine, the packs, and what has to be fixed.

Made to be pasted into a bug report: the home folder is ~, and no variable's value is in it.
"""

import logging
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import microgpt_core
from microgpt_core.hookspecs import API
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.requirement import REQUIREMENT, numbers
from microgpt_core.pipeline.runs.cpu import caches, cores, cpu
from microgpt_core.pipeline.runs.machine import available_disk, available_memory, in_units
from microgpt_core.pipeline.runs.peak import kept_peaks
from microgpt_core.pipeline.runs.run_folder import DEPENDENCIES
from microgpt_core.plugins.hints import quoted
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.pack import CORE, CORE_DISTRIBUTION, Pack, version_of
from microgpt_core.plugins.probe import probe
from microgpt_core.text.cache import cache_folder, cached, catalogue

SECRET = re.compile("KEY|TOKEN|SECRET|PASS|CREDENTIAL", re.IGNORECASE)
SHORTEST_SECRET = 6  # characters: a shorter value would be found in words


def diagnose() -> dict[str, Any]:
    """Facts by name, a dict for each pack, and under "to fix" a line for whatever is wrong."""
    with warnings_heard() as to_fix:
        registry = load(builtin, strict=False, read=probe)
    to_fix += [*missing(), *unwritable(), *backend_problems(registry.packs)]
    name, features = cpu()
    free = available_memory()
    texts = [entry for entry in catalogue() if cached(entry)]
    found = {
        CORE_DISTRIBUTION: f"{microgpt_core.__version__}, plugin API {API}, in {Path(microgpt_core.__file__).parent}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}",
        "platform": platform.platform(),
        "dependencies": ", ".join(f"{name} {version_of(name)}" for name in DEPENDENCIES),
        "cpu": f"{name}, {cores()} cores to use; {' '.join(features) or 'features unknown'}",
        "caches": ", ".join(f"L{cache.level} {cache.nbytes >> 10:,} KiB" for cache in caches()) or "unknown",
        "peak": "; ".join(said_peaks()) or "unknown; microgpt roofline measures it",
        "memory": "unknown" if free is None else f"{in_units(free)} free",
        "disk": f"{in_units(available_disk(Path.cwd()))} free in {Path.cwd()}",
        "cache": f"{cache_folder()}, {', '.join(texts) or 'empty'}",
        "variables": ", ".join(sorted(name for name in os.environ if name.startswith("MICROGPT_"))) or "none",
        "backends": {name: said for pack in registry.packs for name, said in pack.backends.items()},
        "packs": [pack.to_dict() for pack in registry.packs if pack.name != CORE],
        "to fix": to_fix,
    }
    return {key: private(value) for key, value in found.items()}


@contextmanager
def warnings_heard() -> Iterator[list[str]]:
    """What loading the packs warns of, in a list instead of on stderr."""
    heard: list[str] = []
    handler, logger = logging.Handler(), logging.getLogger("microgpt_core.plugins")
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        yield heard
    finally:
        logger.removeHandler(handler)


def said_peaks() -> Iterator[str]:
    """What this machine was measured to reach."""
    for threads, peaks in sorted(kept_peaks().items()):
        rates = ", ".join(f"{name} {in_units(int(peak), 'FLOP/s')}" for name, peak in peaks.items())
        yield f"{rates} on {threads} core{'s' if threads > 1 else ''}"


def missing() -> Iterator[str]:
    """What the core needs and hasn't got. Nothing where the core itself isn't installed, as in a clone."""
    wanted = (metadata.requires(CORE_DISTRIBUTION) if version_of(CORE_DISTRIBUTION) else None) or []
    for requirement in wanted:
        if match := REQUIREMENT.fullmatch(requirement):  # without an extra
            found = version_of(match[1])
            if not found or numbers(found) < numbers(match[2] or ""):
                install = f"microgpt plugins install {quoted(requirement)}"
                yield f"{requirement} is needed, found {found or 'none'}: {install}"


def unwritable() -> Iterator[str]:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        yield f"the cache {cache_folder()} can't be written to; set MICROGPT_CACHE to a folder that can"


def backend_problems(packs: list[Pack]) -> Iterator[str]:
    """What keeps a backend from telling of itself, which a run with it would meet too."""
    for pack in packs:
        for name, said in pack.backends.items():
            if "problem" in said:
                yield f"backend {name!r} ({pack.origin}): {said['problem']}"


def private(value: Any) -> Any:
    """Plain data for others to read."""
    if isinstance(value, dict):
        return {key: private(one) for key, one in value.items()}
    if isinstance(value, list):
        return [private(one) for one in value]
    if not isinstance(value, str):
        return value
    for name, secret in os.environ.items():
        if SECRET.search(name) and len(secret) >= SHORTEST_SECRET:
            value = value.replace(secret, f"${name}")
    home = os.path.expanduser("~")
    return re.sub(re.escape(home) + r"(?![\w.-])", "~", value) if len(home) > 1 else value
