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


BITS = """
import sys
from hashlib import sha256
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import test_native
assert test_native.kernels.__file__.startswith(sys.argv[1])
for name in ("AdafactorUpdate", "MuonUpdate"):
    for shape in test_native.SHAPES:
        print(name, shape, sha256(b"".join(test_native.call(name, shape).values())).hexdigest())
"""


def built(folder: Path, without: str = "", compiler: str | None = None, flags: str = "") -> bool:
    """Whether there are kernels once setup.py has come to its end."""
    shutil.copytree(PACK, folder, ignore=shutil.ignore_patterns("*.so", "*.pyd", "build", "tests"))
    environment = os.environ | ({"CC": compiler} if compiler else {}) | ({"CFLAGS": flags} if flags else {})
    command = [sys.executable, "-c", BUILD, "-q", "build_ext", "--inplace", without]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return any([*folder.rglob("_native*.so"), *folder.rglob("_native*.pyd")])


def test_without_the_headers_they_are_left_out(tmp_path: Path) -> None:
    assert not built(tmp_path / "pack", without="microgpt_simd")


@pytest.mark.skipif(sys.platform == "win32", reason="CC names the compiler elsewhere")
def test_without_a_compiler_they_are_left_out(tmp_path: Path) -> None:
    assert not built(tmp_path / "pack", compiler="no-such-compiler")


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("cc") is None or sys.platform == "win32", reason="there is no compiler to give flags to"
)
def test_a_compiler_without_vectors_gives_the_same_bits(tmp_path: Path) -> None:
    found = []
    for folder, flags in ((tmp_path / "vectors", ""), (tmp_path / "plain", "-DPLAIN_LANES")):
        assert built(folder, flags=flags)
        command = [sys.executable, "-c", BITS, str(folder), str(PACK / "tests")]
        found.append(subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout)
    assert found[0] == found[1]
    assert found[0].count("MuonUpdate") == 4
