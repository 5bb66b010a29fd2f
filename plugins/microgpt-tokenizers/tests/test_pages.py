"""What the README and docs/how-to/tokenizers.md show is what happens."""

import runpy
from pathlib import Path

import pytest

PACK = Path(__file__).parents[1]
ROOT = PACK.parents[1]
PAGES = [PACK / "README.md", ROOT / "docs" / "how-to" / "tokenizers.md"]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path) -> None:
    problems = runpy.run_path(str(ROOT / "tests" / "docs" / "test_documentation.py"))["problems"]
    found = list(problems(page, tmp_path))
    assert not found, "\n\n".join(found)
