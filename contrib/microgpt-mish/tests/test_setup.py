"""The native kernel is left out where it can't be compiled, and the rest of the pack is installed all the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

for needed in ("microgpt_simd", "Cython", "setuptools"):
    pytest.importorskip(needed, reason="what compiles the native kernel isn't all here")

PACK = Path(__file__).parents[1]
BUILD = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv.pop().split(), None))  # these can't be imported
runpy.run_path("setup.py", run_name="__main__")
"""


def built(folder: Path, without: str = "", compiler: str | None = None) -> bool:
    """Whether there is a native kernel once setup.py has come to its end."""
    shutil.copytree(PACK, folder, ignore=shutil.ignore_patterns("native.cpython*", "native.*.pyd", "build", "tests"))
    environment = os.environ | ({"CC": compiler} if compiler else {})
    command = [sys.executable, "-c", BUILD, "-q", "build_ext", "--inplace", without]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return any([*folder.glob("microgpt_mish/native*.so"), *folder.glob("microgpt_mish/native*.pyd")])


@pytest.mark.parametrize("without", ["microgpt_simd", "Cython", "microgpt_simd Cython"])
def test_what_is_not_here_leaves_it_out(without: str, tmp_path: Path) -> None:
    assert not built(tmp_path / "pack", without)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32" or shutil.which("cc") is None, reason="a compiler that CC names")
@pytest.mark.parametrize(("compiler", "expected"), [("false", False), ("cc", True)])
def test_without_a_compiler_it_is_left_out(compiler: str, expected: bool, tmp_path: Path) -> None:
    assert built(tmp_path / "pack", compiler=compiler) is expected
