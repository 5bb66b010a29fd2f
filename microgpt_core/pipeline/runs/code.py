"""Which code a run's numbers come from: a digest of the core, and of each pack that it uses."""

from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

import microgpt_core
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.plugins.pack import CORE, Pack

CODE = (".py", ".so", ".pyd", ".dylib", ".c", ".h")
ASIDE = ("cli", "testing")  # folders of the core that compute nothing


def used_packs(run: Run) -> list[Pack]:
    """The packs with a component that a run has asked for, or a kernel that it may ask for on one of its backends."""
    backends, used = {backend.name for backend in run.kernels.backends}, run.registry.used
    for pack in run.registry.packs:
        kernels = pack.components.get("kernels", {})
        if pack not in used and any(key.partition("/")[0] in backends for key in kernels):
            used.append(pack)
    return used


def code_digests(packs: Iterable[Pack]) -> dict[str, str]:
    """Pack -> the digest of its package, or of its one file."""
    digests = {}
    for pack in packs:
        file = Path(pack.distribution if pack.distribution.endswith(".py") else pack.file)
        if pack.name == CORE:
            digests[CORE] = folder_digest(Path(microgpt_core.__file__).parent, ASIDE)
        elif (file.parent / "__init__.py").is_file():
            digests[pack.name] = folder_digest(file.parent)
        else:
            digests[pack.name] = sha256(file.read_bytes()).hexdigest()
    return digests


@cache
def folder_digest(folder: Path, aside: tuple[str, ...] = ()) -> str:
    """Of every file of a package that holds code."""
    total = sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix in CODE and inside.parts[0] not in aside:
            total.update(inside.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
