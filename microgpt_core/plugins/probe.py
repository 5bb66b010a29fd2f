"""Reading a pack in a process of its own, where it can hang or end the process and nothing is lost.

Slower than reading it here by the start of a Python, so only for those who want to know: `microgpt doctor`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from microgpt_core.hookspecs import GROUP
from microgpt_core.plugins.discovery import Point, entry_points
from microgpt_core.plugins.pack import Pack, PluginError, cause
from microgpt_core.plugins.reader import module_file, read_pack
from microgpt_core.plugins.registry import imported

TOLD = ("components", "stage", "file", "seconds", "output", "deprecated", "backends")
GRACE = 10.0  # seconds for Python's own start, and for a pack that no exception stops


def probe(pack: Pack, point: Point, limit: float) -> None:
    """As `read_pack`; a class among the components is told as "module:Class". Raises PluginError."""
    pack.stage = "import"
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-P", "-m", __name__, point.distribution, point.name, str(limit), str(answer)]
        try:
            ended = subprocess.run(
                command,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=limit + GRACE,
            ).returncode
        except subprocess.TimeoutExpired:
            ended = None
        if not answer.is_file():
            how = f"ended its process with code {ended}" if ended is not None else f"took longer than {limit:g} s"
            raise PluginError(f"it {how}")
        told = json.loads(answer.read_text(encoding="utf-8"))
    for name in TOLD:
        setattr(pack, name, told[name])
    if told["cause"]:
        raise PluginError(told["cause"])


def answer(distribution: str, name: str, limit: str, file: str) -> None:
    """What the other process does: read the pack, and write down what there is to tell."""
    (point,) = [p for p in entry_points(GROUP) if (p.distribution, p.name) == (distribution, name)]
    pack, wrong = Pack(name, distribution, point.version, file=module_file(point)), ""
    try:
        read_pack(pack, point, float(limit))
        pack.backends = {backend: details(pack, backend) for backend in pack.components.get("backends", ())}
    except BaseException as error:  # noqa: BLE001 - whatever a stranger's module raises
        wrong = cause(error)
    told: dict[str, Any] = {name: getattr(pack, name) for name in TOLD} | {"cause": wrong}
    Path(file).write_text(json.dumps(told, default=spelled), encoding="utf-8")


def details(pack: Pack, name: str) -> dict[str, str]:
    """What a backend tells of itself on this machine: why it can't run here, or what is wrong, where something is."""
    try:
        backend = imported(pack, "backends", name)()
        reason = backend.unavailable()
        return {"unavailable": reason} if reason else {**backend.details()}
    except Exception as error:  # noqa: BLE001 - whatever a stranger's class raises
        return {"problem": cause(error)}


def spelled(component: Any) -> str:
    """A class as a hook could have named it."""
    return f"{component.__module__}:{component.__qualname__}" if isinstance(component, type) else repr(component)


if __name__ == "__main__":
    answer(*sys.argv[1:])
