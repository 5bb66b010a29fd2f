"""The kernels in C are left out where they can't be compiled, and the rest of the pack is installed all the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

for needed in ("microgpt_simd", "setuptools"):
    pytest.importorskip(needed, reason="what compiles the kernels isn't all here")

PACK = Path(__file__).parents[1]
BUILD = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv.pop().split(), None))  # these can't be imported
runpy.run_path("setup.py", run_name="__main__")
"""


def built(folder: Path, without: str = "", compiler: str | None = None) -> bool:
    """Whether there are kernels once setup.py has come to its end."""
    shutil.copytree(PACK, folder, ignore=shutil.ignore_patterns("*.so", "*.pyd", "build", "tests"))
    environment = os.environ | ({"CC": compiler} if compiler else {})
    command = [sys.executable, "-c", BUILD, "-q", "build_ext", "--inplace", without]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return any([*folder.rglob("_native*.so"), *folder.rglob("_native*.pyd")])


def test_without_the_headers_they_are_left_out(tmp_path: Path) -> None:
    assert not built(tmp_path / "pack", without="microgpt_simd")


@pytest.mark.skipif(sys.platform == "win32", reason="CC names the compiler elsewhere")
def test_without_a_compiler_they_are_left_out(tmp_path: Path) -> None:
    assert not built(tmp_path / "pack", compiler="no-such-compiler")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler")
def test_with_both_they_are_there(tmp_path: Path) -> None:
    assert built(tmp_path / "pack")
