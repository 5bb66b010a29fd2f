"""What the README shows is what happens, and its table says of every op in which file it is."""

import re
import runpy
from pathlib import Path

from microgpt_simd.plugin import KERNELS

PACK = Path(__file__).parents[1]
README = PACK / "README.md"
DOCUMENTATION = PACK.parents[1] / "tests" / "docs" / "test_documentation.py"


def test_the_readme_does_what_it_shows(tmp_path: Path) -> None:
    found = list(runpy.run_path(str(DOCUMENTATION))["problems"](README, tmp_path))
    assert not found, "\n\n".join(found)


def misplaced(table: dict[str, list[str]]) -> list[str]:
    """The ops that aren't in the file of their row."""
    sources = {file: (PACK / "microgpt_simd" / "kernels" / file).read_text(encoding="utf-8") for file in table}
    forms = "int {0}_forward(", "UNARY({0})", "PAIRWISE({0},"
    rows = [(file, op) for file, ops in table.items() for op in ops]
    return [op for file, op in rows if not any(form.format(op) in sources[file] for form in forms)]


def test_every_op_is_in_the_file_that_the_readme_names() -> None:
    lines = re.findall(r"^\| `(\w+\.c)` \| (.*) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    table = {file: re.findall(r"`(\w+)`", ops) for file, ops in lines}
    assert sorted(op for ops in table.values() for op in ops) == sorted(KERNELS)
    assert misplaced(table) == []
    assert misplaced({"softmax.c": ["rmsnorm"]}) == ["rmsnorm"]  # the planted bug
