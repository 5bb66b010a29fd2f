"""What docs/how-to/datasets.md shows is what happens, and what it lists is what there is."""

import re
import runpy
from pathlib import Path

import pytest

from microgpt_datasets.plugin import microgpt_datasets, microgpt_transforms

PACK = Path(__file__).parents[1]
ROOT = PACK.parents[1]
PAGE = ROOT / "docs" / "how-to" / "datasets.md"


@pytest.mark.slow
def test_the_page_does_what_it_shows(tmp_path: Path) -> None:
    problems = runpy.run_path(str(ROOT / "tests" / "docs" / "test_documentation.py"))["problems"]
    found = list(problems(PAGE, tmp_path))
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize("page", [PAGE, PACK / "README.md"], ids=["page", "readme"])
def test_every_component_is_listed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"[a-z0-9-]+", text))
    assert {*microgpt_datasets(), *microgpt_transforms()} - named - {"enwik8", "text8", "tinystories"} == set()
