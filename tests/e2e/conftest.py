"""Environments as a user makes them: a new `venv`, and wheels of the core and of packs installed into it by pip.

The wheels are those of the folder `MICROGPT_WHEELS`, which `scripts/build_wheels.py` makes; there is no other index.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Result = subprocess.CompletedProcess[str]


@dataclass
class Environment:
    """A virtual environment, and the folder that its user is in."""

    folder: Path
    wheels: Path

    @property
    def here(self) -> Path:
        return self.folder.parent

    def call(self, program: str, *args: str, **variables: str) -> Result:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MICROGPT_", "PYTHON", "PIP_"))}
        ours = {
            "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONUTF8": "1", "NO_COLOR": "1", "COLUMNS": "400", "MICROGPT_CACHE": str(self.here / "cache"),
        }  # fmt: skip
        scripts = self.folder / ("Scripts" if os.name == "nt" else "bin")
        return subprocess.run(
            [scripts / program, *args], env=kept | ours | variables, cwd=self.here, stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", timeout=600,
        )  # fmt: skip

    def install(self, *targets: str) -> None:
        result = self.call("python", "-m", "pip", "install", "--quiet", *targets)
        assert result.returncode == 0, result.stderr

    def microgpt(self, *args: str, code: int = 0, **variables: str) -> Result:
        result = self.call("microgpt", *args, **variables)
        assert result.returncode == code, f"{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        return result

    def json(self, *args: str, code: int = 0, **variables: str) -> Any:
        return json.loads(self.microgpt(*args, "--json", code=code, **variables).stdout)

    def packs(self) -> dict[str, str]:
        """The state of every pack, by its distribution's name."""
        return {pack["distribution"]: pack["state"] for pack in self.json("plugins", "list")}


@pytest.fixture(scope="session")
def wheels() -> Path:
    if "MICROGPT_WHEELS" not in os.environ:
        pytest.skip("these tests want wheels: run them by `tox -e e2e`")
    return Path(os.environ["MICROGPT_WHEELS"])


@pytest.fixture(scope="session")
def new_environment(wheels: Path) -> Callable[..., Environment]:
    """`new_environment(folder, "microgpt-numpy")`: one with the core, its five dependencies, and this."""

    def new_environment(folder: Path, *targets: str) -> Environment:
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        environment = Environment(folder / "env", wheels)
        environment.install("microgpt-core", *targets)
        return environment

    return new_environment


@pytest.fixture
def core_alone(tmp_path: Path, new_environment: Callable[..., Environment]) -> Environment:
    return new_environment(tmp_path)


@pytest.fixture(scope="session")
def everything(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path, new_environment: Callable[..., Environment]
) -> Environment:
    """The core with every pack of this repository. Tests leave it as it is."""
    packs = [wheel.name.partition("-")[0] for wheel in wheels.glob("microgpt_*.whl")]
    return new_environment(tmp_path_factory.mktemp("everything"), *packs)
