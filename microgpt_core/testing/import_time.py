"""How long importing a pack's module takes, and what else it brings in.

    python -m microgpt_core.testing.import_time MODULE

It is measured in a process of its own, in processor time: other programs on the machine don't count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from time import process_time

TRIES = 3


def import_time(module: str) -> tuple[float, list[str]]:
    """The least of a few measurements, and what came in beside microgpt's own modules and Python's."""
    return min(measure(module) for _ in range(TRIES))


def measure(module: str) -> tuple[float, list[str]]:
    """One measurement, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    answer = subprocess.run(
        [sys.executable, "-m", __name__, module], capture_output=True, encoding="utf-8", env=environment, check=True
    )
    seconds, brought = json.loads(answer.stdout.rpartition("\n")[2])
    return seconds, brought


def main(module: str) -> None:
    import_module("microgpt_core.components")  # what every pack needs isn't its own doing
    import_module("microgpt_core.hookspecs")
    known = {name.partition(".")[0] for name in sys.modules} | sys.stdlib_module_names
    start = process_time()
    import_module(module)
    seconds = process_time() - start
    known.add(module.partition(".")[0])
    brought = {name for name, m in sys.modules.items() if "." not in name and getattr(m, "__file__", None)} - known
    sys.stdout.write("\n" + json.dumps([seconds, sorted(brought)]))


if __name__ == "__main__":
    main(sys.argv[1])
