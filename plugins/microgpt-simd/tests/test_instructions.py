"""No instruction wider than its level: what every processor runs has no AVX, the kernels for AVX2 no AVX-512."""

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

OBJDUMP = shutil.which("objdump")
# Registers of 256 and 512 bits, masks, vectors from 16 on; and instructions as AVX encodes them, on narrow ones too.
AVX512 = r"%zmm|%k[0-7]\b|%[xy]mm(1[6-9]|2\d|3[01])\b"
AVX = rf"{AVX512}|%ymm|\tv\w+\s.*%xmm"
TILES = r"%tmm[0-7]\b|\tldtilecfg|\ttilerelease"
TOO_WIDE = {
    "native": f"{AVX}|{TILES}",
    "_baseline": f"{AVX}|{TILES}",
    "_avx2": f"{AVX512}|{TILES}",
    "_avx512": TILES,
    "_avx512bf16": TILES,
}

pytestmark = [
    pytest.mark.skipif(OBJDUMP is None, reason="objdump isn't on PATH, so that nobody can look at the instructions"),
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="only these processors have levels"),
]


def instructions(module: str) -> Iterator[str]:
    spec = find_spec(f"microgpt_simd.{module}")
    assert spec is not None
    assert spec.origin is not None
    command = [str(OBJDUMP), "--disassemble", "--no-show-raw-insn", spec.origin]
    yield from subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.splitlines()


def wider(module: str, pattern: str) -> list[str]:
    found = re.compile(pattern)
    return [line for line in instructions(module) if found.search(line)]


@pytest.mark.parametrize("module", TOO_WIDE)
def test_no_instruction_is_wider_than_its_level(module: str) -> None:
    assert sum(1 for _ in instructions(module)) > 1000
    assert wider(module, TOO_WIDE[module])[:5] == []


@pytest.mark.parametrize(("module", "level"), [("_avx512", "_avx2"), ("_avx512", "native"), ("_avx2", "_baseline")])
def test_planted_a_wider_instruction_is_found(module: str, level: str) -> None:
    """The control: the kernels of the next level don't pass for those of one below."""
    assert len(wider(module, TOO_WIDE[level])) > 100


@pytest.mark.skipif(find_spec("microgpt_simd._amx") is None, reason="compiled for Linux, by a compiler that knows AMX")
def test_the_kernels_for_amx_use_its_tiles() -> None:
    used = " ".join(wider("_amx", TILES))
    assert {"ldtilecfg", "tilezero", "tileloadd", "tdpbf16ps", "tilestored", "tilerelease"} <= set(used.split())
