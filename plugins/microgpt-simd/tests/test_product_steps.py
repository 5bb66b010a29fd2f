"""The benchmark of the matrix product's steps: all of them compute one product, and one that doesn't is found."""

import json
import os
import platform
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[3] / "benchmarks" / "product_steps.py"
SOURCE = PROGRAM.with_suffix(".c")

pytestmark = pytest.mark.skipif(
    shutil.which(os.environ.get("CC") or "cc") is None,
    reason="the benchmark compiles its steps, and no compiler is here",
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")


def test_all_steps_agree_and_are_timed() -> None:
    done = run("--size", "12x3x192", "24x257x768", "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    small, larger = json.loads(done.stdout)["sizes"]
    assert (small["size"], larger["size"]) == ([12, 3, 192], [24, 257, 768])
    for found in (small, larger):
        assert {step["step"] for step in found["steps"]} >= set(range(8))
        assert all(step["gflops"] > 0 < step["of_peak"] for step in found["steps"])


@pytest.mark.parametrize("size", ["13x3x192", "12x3x100", "12x0x192", "12x192", "12x-3x192", "a lot"])
def test_a_size_that_does_not_fit_the_tiles_is_refused(size: str) -> None:
    done = run("--size", size)
    assert done.returncode == 2
    assert f"{size!r}; allowed: m x k x n, m a multiple of 12, n a multiple of 192" in done.stderr


PLANTED = [  # what is changed in the source, to what, and where it is noticed
    ("p < k; p++)\n                sum +=", "p < k - 1; p++)\n                sum +=", "step 0, pure Python: C[0][0]"),
    ("memset(c, 0, (size_t)(m * n)", "memset(c, 0, (size_t)(m * n - 1)", "step 2, along_rows: C[23][383]"),
    ("store(c + i * n + j, sum)", "store(c + i * n, sum)", "step 3, one_vector: C[0][0]"),
    ("b + j, n, c + i * n + j, n, k, 0)", "b + j, n, c + i * n + j, n, k, 1)", "step 4, tiles: C[0][0]"),
    ("pack(room, b + j, n, k)", "pack(room, b + j, n, k - 1)", "step 5, packed: C[0][0]"),
    ("n, k_here, k0 > 0)", "n, k_here, 0)", "step 6, blocked: C[0][0]"),
]


@pytest.mark.parametrize(("old", "new", "message"), PLANTED)
def test_a_planted_wrong_step_is_found(old: str, new: str, message: str, tmp_path: Path) -> None:
    source = SOURCE.read_text(encoding="utf-8")
    assert source.count(old) == 1
    changed = tmp_path / "changed.c"
    changed.write_text(source.replace(old, new), encoding="utf-8", newline="\n")
    assert message in wrong_step(runpy.run_path(str(PROGRAM)), changed, tmp_path)


def wrong_step(program: dict[str, Any], source: Path, folder: Path) -> str:
    """The first step that doesn't compute the product, and where; nothing if all do."""
    product, library = program["Product"](24, 257, 384), program["compiled"](source, folder)
    three_loops = program["function"](library, "three_loops", product)
    try:
        program["check"](program["steps_of"](product, library), product, three_loops)
    except program["WrongStep"] as error:
        return str(error)
    return ""


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="vectors elsewhere have one width")
@pytest.mark.parametrize("narrower", ["-mno-avx512f", "-mno-avx2"])
def test_narrower_vectors_have_tiles_of_their_own(narrower: str, tmp_path: Path) -> None:
    program = runpy.run_path(str(PROGRAM))
    program["FLAGS"].append(narrower)
    assert wrong_step(program, SOURCE, tmp_path) == ""


def test_without_a_compiler_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(SystemExit, match="no C compiler: no-such-compiler isn't found; install GCC or Clang, or name"):
        runpy.run_path(str(PROGRAM))["compiled"](SOURCE, tmp_path)


def test_what_a_compiler_says_is_shown(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.c"
    wrong.write_text("int three_loops(void) { return no_such_name; }", encoding="utf-8", newline="\n")
    with pytest.raises(SystemExit, match=r"can't compile wrong.c:\n(.|\n)*no_such_name"):
        runpy.run_path(str(PROGRAM))["compiled"](wrong, tmp_path)
