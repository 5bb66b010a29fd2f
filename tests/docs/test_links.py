"""Every link within the project leads somewhere, and the index of the docs leaves no page out.

Looked at are the README, CONTRIBUTING and their like, and all of docs/. Links to other sites are not followed.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(file.relative_to(ROOT).as_posix() for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
INDEX = "docs/README.md"

CODE = re.compile(r"^ *(```+).*?^ *\1`* *$|(?<!`)(`+)(?!`)[^\n]*?(?<!`)\2(?!`)|<!--.*?-->", re.MULTILINE | re.DOTALL)
LINKS = re.compile(
    r"\]\(\s*<?([^)\s>]+)[^)]*\)"  # [text](target "title"), ![text](target)
    r"|^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)"  # [name]: target
    r"|\b(?:href|src|srcset)=\"([^\"]+)\"",  # HTML
    re.MULTILINE,
)
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.+?)(?:\s+#+)?\s*$", re.MULTILINE)
FENCE = re.compile(r"^ *(```+).*?^ *\1`* *$", re.MULTILINE | re.DOTALL)


def links(text: str) -> Iterator[str]:
    """Where a page's links lead, those in code and comments left out."""
    for found in LINKS.finditer(CODE.sub("", text)):
        yield next(target for target in found.groups() if target)


def anchors(text: str) -> set[str]:
    """The names of a page's headings as GitHub makes them, and those that HTML gives."""
    names: set[str] = set(re.findall(r"\b(?:id|name)=\"([^\"]+)\"", text))
    for heading in HEADING.findall(FENCE.sub("", text)):
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()  # a link shows its text
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        again = 0
        while (name := f"{slug}-{again}" if again else slug) in names:
            again += 1
        names.add(name)
    return names


def dead_links(page: Path, root: Path) -> Iterator[str]:
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):  # https:, mailto:
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(root):
            yield f"{page.name}: {link} leads out of the project"
        elif not target.exists():
            yield f"{page.name}: {link} leads nowhere"
        elif anchor and (target.suffix != ".md" or anchor not in anchors(target.read_text(encoding="utf-8"))):
            yield f"{page.name}: {link}: no heading of that name in {target.name}"


def orphans(root: Path) -> set[str]:
    """The files of docs/ that its index doesn't link to; pictures are reached through their pages."""
    index = root / INDEX
    listed = {(index.parent / unquote(link).partition("#")[0]).resolve() for link in links(index.read_text("utf-8"))}
    files = {file for suffix in ("md", "py", "yaml") for file in (root / "docs").rglob(f"*.{suffix}")}
    return {file.relative_to(root).as_posix() for file in files - listed - {index}}


@pytest.mark.parametrize("path", PAGES)
def test_every_link_leads_somewhere(path: str) -> None:
    found = list(dead_links(ROOT / path, ROOT))
    assert not found, "\n".join(found)


def test_the_index_lists_every_page() -> None:
    assert not orphans(ROOT)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A README and a page with headings that are hard to name."""
    texts = {
        "README.md": '# Start\n[a](docs/a.md), ![a](<docs/a.md> "title")\n\n[r]: docs/a.md#a-page\n',
        "docs/README.md": "[A](a.md)",
        "docs/a.md": (
            "# A page\n## `set`, or add?\n## Twice\n## Twice\n## With [a link](b)\n```text\n# Not a heading\n```\n"
        ),
    }
    (tmp_path / "docs").mkdir()
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="\n")
    return tmp_path


GOOD = [
    "[a](a.md#a-page)", "[a](a.md#set-or-add)", "[a](a.md#twice-1)", "[a](a.md#with-a-link)", "[a](../README.md)",
    "[a](../docs)", "[a](https://example.org/b#c)", "[a](mailto:a@example.org)", "# B\n[a](#b)",
    '<img src="a.md" alt="">', "`[a](b.md)`", "```text\n[a](b.md)\n```", "<!-- [a](b.md) -->", "a[i] and (b.md)",
]  # fmt: skip
BAD = [
    "[a](b.md)", "[a](a.md#b)", "[a](a.md#not-a-heading)", "[a](a.md#twice-2)", "[a](#b)", "[a](../../b.md)",
    "[a](..)[b](../x/a.md)", "![a](a.svg)", '<img src="a.svg">', "[a]: b.md", "[a](../README.md#end)", "[a](..#start)",
    "`code` and [a](b.md) and `code`", "```text\n```\n[a](b.md)\n```text\n```",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_a_right_link_passes(project: Path, text: str) -> None:
    (project / "docs" / "page.md").write_text(text, encoding="utf-8", newline="\n")
    assert not list(dead_links(project / "docs" / "page.md", project))
    assert not list(dead_links(project / "README.md", project))


@pytest.mark.parametrize("text", BAD)
def test_a_planted_dead_link_is_found(project: Path, text: str) -> None:
    (project / "docs" / "page.md").write_text(text, encoding="utf-8", newline="\n")
    assert list(dead_links(project / "docs" / "page.md", project))


@pytest.mark.parametrize("name", ["b.md", "deep/b.md", "b.py", "deep/README.md"])
def test_a_planted_orphan_is_found(project: Path, name: str) -> None:
    assert not orphans(project)
    (project / "docs" / name).parent.mkdir(exist_ok=True)
    (project / "docs" / name).write_text("[A](a.md)", encoding="utf-8", newline="\n")
    assert orphans(project) == {f"docs/{name}"}
