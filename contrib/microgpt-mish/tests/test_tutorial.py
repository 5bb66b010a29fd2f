"""The tutorial that the native kernel comes from: its files are the pack's, and its commands do what it shows."""

import re
import runpy
import shutil
from pathlib import Path

import pytest

pytest.importorskip("microgpt_simd", reason="the tutorial is about a kernel for microgpt-simd")

PACK = Path(__file__).parents[1]
ROOT = PACK.parents[1]
PAGE = ROOT / "docs" / "tutorials" / "write-a-native-kernel.md"
FILES = ["microgpt_mish/native.pyx", "microgpt_mish/simd_kernel.py", "microgpt_mish/plugin.py", "setup.py"]


@pytest.mark.parametrize("name", FILES)
def test_the_pack_has_what_the_tutorial_makes(name: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (shown,) = re.findall(rf"^<!-- file: {name} -->\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert shown == (PACK / name).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="the tutorial calls the C compiler by that name")
def test_the_tutorial_does_what_it_shows(tmp_path: Path) -> None:
    """In a copy of the pack from which the native kernel was taken out again."""
    left_out = shutil.ignore_patterns("native.*", "simd_kernel.py", "setup.py", "build", "tests", "*.egg-info")
    folder = shutil.copytree(PACK, tmp_path / "microgpt-mish", ignore=left_out)
    problems = runpy.run_path(str(ROOT / "tests" / "docs" / "test_documentation.py"))["problems"]
    found = list(problems(PAGE, folder))
    assert not found, "\n\n".join(found)
