"""The lines of C on the page about SIMD are the very lines that are compiled, and follow one another as there."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "simd.md"
STEPS = ROOT / "benchmarks" / "product_steps.c"
KERNELS = ROOT / "plugins" / "microgpt-simd" / "microgpt_simd" / "kernels"
read_fences = runpy.run_path(str(Path(__file__).with_name("test_documentation.py")))["read_fences"]


def places(page: str) -> tuple[list[int], list[str]]:
    """Where in the benchmark each snippet stands, and those that stand in no source."""
    steps = STEPS.read_text(encoding="utf-8")
    kernels = [file.read_text(encoding="utf-8") for file in sorted(KERNELS.glob("*.[ch]"))]
    snippets = [fence.source for fence in read_fences(page) if fence.language == "c"]
    found = [steps.index(f"\n{snippet}") for snippet in snippets if f"\n{snippet}" in steps]
    others = [snippet for snippet in snippets if f"\n{snippet}" not in steps]
    return found, [snippet for snippet in others if not any(f"\n{snippet}" in kernel for kernel in kernels)]


def test_the_snippets_are_the_lines_that_are_compiled() -> None:
    found, nowhere = places(PAGE.read_text(encoding="utf-8"))
    assert nowhere == []
    assert len(found) > 6
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("float sum = 0;", "float sum = 1;"),  # another number
        (
            "            for (int64_t p = 0; p < k; p++)\n                sum += ",
            "                sum += ",
        ),  # a line less
        ("    vf sum[ROWS][VECTORS];", "    vf sum[ROWS];"),  # the end of a line
        ("_mm512_dpbf16_ps((__m512)sum", "_mm512_dpbf16_ps((__m512)a"),  # of a kernel
    ],
)
def test_a_planted_change_is_found(old: str, new: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(old) == 1
    assert len(places(page.replace(old, new))[1]) == 1


def test_a_planted_change_of_order_is_found() -> None:
    page = PAGE.read_text(encoding="utf-8")
    _, *parts = page.split("```c\n")
    found, _ = places("".join(f"```c\n{part}\n" for part in reversed(parts)))
    assert found != sorted(found)
