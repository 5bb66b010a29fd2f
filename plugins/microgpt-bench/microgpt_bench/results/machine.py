"""Where results come from: machine, system, versions, revision. Never a user, a host, a path or a variable's value."""

import platform
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from microgpt_core import __version__
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.runs.cpu import cores, cpu
from microgpt_core.pipeline.runs.provenance import git_state
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.pack import CORE_DISTRIBUTION, version_of

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
LIBRARIES = ("numpy", "torch")
TUNING = ("-O", "-m", "-f")  # flags of a compiler that decide how fast its code is; the others hold paths


def machine_facts() -> dict[str, Any]:
    """What a benchmark's numbers depend on besides the code that is measured."""
    name, features = cpu()
    packs = {pack.name: pack.label for pack in load(builtin).packs if pack.state == "ok"}
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": name,
        "features": features,
        "cores": cores(),
        "governor": GOVERNOR.read_text(encoding="ascii").strip() if GOVERNOR.is_file() else None,
        "system": platform.platform(),
        "architecture": platform.machine(),
        "python": f"{sys.implementation.name} {platform.python_version()}",
        "flags": [flag for flag in str(sysconfig.get_config_var("CFLAGS") or "").split() if flag.startswith(TUNING)],
        "blas": blas(),
        "versions": {CORE_DISTRIBUTION: __version__} | {name: version_of(name) for name in LIBRARIES},
        "packs": packs,
        "git": git_state(Path()),
    }


def blas() -> str:
    """The library behind NumPy's matrix products."""
    import numpy  # slow to import, and not wanted by who only reads results

    found: Any = numpy.show_config(mode="dicts")
    library = found["Build Dependencies"]["blas"]
    return f"{library['name']} {library.get('version', '')}".replace("scipy-openblas", "OpenBLAS").strip()
