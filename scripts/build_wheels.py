"""Build the wheels of the core and of every pack, and fetch what they need: a folder that installs without an index.

    python scripts/build_wheels.py FOLDER [REQUIREMENT...]

Each wheel is built from its source distribution, so both are tried. REQUIREMENT is something else that the folder
should be able to install, such as pytest.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def projects() -> list[Path]:
    """The core's folder, and every pack's."""
    return [
        ROOT,
        *sorted(file.parent for kind in ("plugins", "contrib") for file in ROOT.glob(f"{kind}/*/pyproject.toml")),
    ]


def build_one(folder: Path, project: Path) -> None:
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder), str(project)], check=True)


def build(folder: Path, requirements: list[str]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # most of it is waiting for environments to be made
        list(pool.map(lambda project: build_one(folder, project), projects()))
    ours = sorted(map(str, folder.glob("microgpt_*.whl")))
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--wheel-dir", str(folder), *ours, *requirements], check=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build(Path(sys.argv[1]).resolve(), sys.argv[2:])
