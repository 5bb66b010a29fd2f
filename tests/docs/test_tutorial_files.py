"""What a tutorial makes is what its pack has: the last version of a file on the page is the committed file."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACK = "contrib/microgpt-reverse/microgpt_reverse"
FILES = [
    ("write-a-tokenizer.md", "reverse.py", f"{PACK}/reverse.py"),
    ("write-an-analyzer.md", "entropy.py", f"{PACK}/entropy.py"),
]


@pytest.mark.parametrize(("page", "name", "committed"), FILES)
def test_the_pack_has_what_the_tutorial_makes(page: str, name: str, committed: str) -> None:
    text = (ROOT / "docs" / "tutorials" / page).read_text(encoding="utf-8")
    versions = re.findall(rf"^<!-- file: {name} -->\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(versions) > 1, "the first version has a mistake, the last has none"
    assert versions[-1] == (ROOT / committed).read_text(encoding="utf-8")
