"""What a processor has counts only with the registers that the system saves: cpu.h on answers that are made up."""

import shutil
import subprocess
from pathlib import Path

import pytest

from microgpt_simd.levels import LEVELS
from microgpt_simd.native import cpu_features

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
ASK = r"""
#include <stdio.h>
#include <stdlib.h>
#include "cpu.h"
int main(int n, char **word)
{
    mg_cpu cpu = {~0u, ~0u, ~0u, ~0u, n > 1 ? strtoull(word[1], 0, 16) : 0}; /* it can do everything */
    if (n == 1)
        cpu = mg_this_cpu();
    for (int i = 0; mg_feature_of(&cpu, i); i++)
        printf("%s ", mg_feature_of(&cpu, i));
    return 0;
}
"""
SAVED = {"0": "baseline", "3": "baseline", "7": "avx2", "67": "avx2", "e7": "avx512bf16", "600e7": "amx"}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that prints the features that count of a processor which has them all, with such registers saved."""
    if COMPILER is None:
        pytest.skip("no C compiler on PATH, so that cpu.h can't be tried on other processors' answers")
    folder = tmp_path_factory.mktemp("cpu")
    (folder / "ask.c").write_text(ASK, encoding="utf-8", newline="\n")
    include = str(Path(__file__).parents[1] / "microgpt_simd")  # of the clone: it isn't in the wheel
    subprocess.run([COMPILER, "-std=c11", f"-I{include}", "-o", str(folder / "ask"), str(folder / "ask.c")], check=True)
    return folder / "ask"


def features(ask: Path, *saved: str) -> frozenset[str]:
    return frozenset(subprocess.run([ask, *saved], check=True, capture_output=True, encoding="ascii").stdout.split())


@pytest.mark.parametrize("saved", SAVED)
def test_wide_registers_that_are_not_saved_are_not_used(saved: str, ask: Path) -> None:
    found = features(ask, saved)
    assert [level for level, needed in LEVELS.items() if needed <= found][-1] == SAVED[saved]
    assert ("amx-tile" in found) == (saved == "600e7")


def test_the_same_header_tells_of_this_processor(ask: Path) -> None:
    assert features(ask) == cpu_features()


@pytest.mark.skipif("not __import__('pathlib').Path('/proc/cpuinfo').is_file()", reason="only Linux lists flags")
def test_linux_says_the_same() -> None:
    """The kernel leaves out of its list what it doesn't save."""
    flags = {word.replace("_", "-") for word in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()}
    told = {name for name in ("avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq") if name in flags}
    assert told == cpu_features() - {"avx512bf16", "amx-tile", "amx-bf16"}
