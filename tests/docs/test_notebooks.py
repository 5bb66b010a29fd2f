"""The notebooks show what happens: their cells run here without Jupyter, and print what is stored in them.

A notebook is JSON. Its code cells run in order, in one namespace and one empty folder, as a page's snippets do.
A cell shows what it prints and nothing else, so that the stored output is text that can be compared.
"""

import importlib
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(file.relative_to(ROOT).as_posix() for file in ROOT.glob("docs/**/*.ipynb"))
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
# What the format asks of a cell: nbformat.readthedocs.io, version 4.5.
KEYS = {"markdown": {"cell_type", "id", "metadata", "source"}}
KEYS["code"] = KEYS["markdown"] | {"execution_count", "outputs"}
LIMIT = 60.0  # seconds for a cell

Notebook = dict[str, Any]


@pytest.fixture
def documentation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("test_documentation")


def faults(notebook: Notebook) -> Iterator[str]:
    """Where a notebook isn't what the format says, or shows something that can't be compared."""
    if (notebook.get("nbformat"), notebook.get("nbformat_minor")) != (4, 5):
        yield "expected nbformat 4, nbformat_minor 5"
    if notebook.get("metadata", {}).get("kernelspec", {}).get("name") != "python3":
        yield "metadata: expected a kernelspec of the name python3"
    names = [cell.get("id", "") for cell in notebook["cells"]]
    if len(names) != len(set(names)) or not all(re.fullmatch(r"[\w-]{1,64}", name, re.ASCII) for name in names):
        yield f"expected ids of letters, digits, - and _, each once; found {names}"
    for cell in notebook["cells"]:
        if cell.keys() != KEYS.get(cell["cell_type"]):
            yield f"{cell['id']}: a {cell['cell_type']} cell with {', '.join(sorted(cell))}"
        for output in cell.get("outputs", []):
            if output["output_type"] != "stream":
                yield f"{cell['id']}: its output is {output['output_type']}; print it, then it can be compared"


def text(lines: str | list[str]) -> str:
    """Text as the format stores it: whole, or in lines."""
    return "".join(lines)


def differences(notebook: Notebook, folder: Path, documentation: ModuleType, limit: float = LIMIT) -> Iterator[str]:
    """Run a notebook in an empty folder: every cell that doesn't print what is stored, or doesn't come to its end."""
    with closing(documentation.Snippets(folder)) as snippets:
        for cell in notebook["cells"]:
            if cell["cell_type"] != "code":
                continue
            printed = snippets.run(text(cell["source"]), limit)
            if printed is None:
                yield f"{cell['id']}: {snippets.why()}"
                return  # what follows builds on it
            stored = "".join(text(output["text"]) for output in cell["outputs"])
            if printed != stored:
                yield f"{cell['id']}: stored\n{stored}\nprinted\n{printed}"


def dead_links(notebook: Notebook, folder: Path) -> list[str]:
    """Where a notebook's words lead to nothing; `folder` is the one that it is in."""
    words = "".join(text(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return [link for link in LINK.findall(words) if not (folder / link).is_file()]


def read(path: str) -> Notebook:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_notebook_prints_what_is_stored_in_it(path: str, tmp_path: Path, documentation: ModuleType) -> None:
    notebook = read(path)
    assert not list(faults(notebook))
    found = list(differences(notebook, tmp_path, documentation))
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_notebook_is_listed_and_links_to_what_is_there(path: str) -> None:
    assert f"]({path.removeprefix('docs/')})" in (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert not dead_links(read(path), (ROOT / path).parent)


def a_notebook() -> Notebook:
    """A small one without a fault; its second cell builds on its first."""
    words = {"cell_type": "markdown", "id": "words", "metadata": {}, "source": ["[a](b.md)"]}
    code = {"cell_type": "code", "metadata": {}, "execution_count": None}
    first = code | {"id": "first", "source": ["x = 1\n", "x += 1"], "outputs": []}
    out = {"output_type": "stream", "name": "stdout", "text": ["2\n"]}
    second = code | {"id": "second", "source": "print(x)", "outputs": [out]}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": [words, first, second], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip


def test_a_right_notebook_passes(tmp_path: Path, documentation: ModuleType) -> None:
    (tmp_path / "b.md").touch()
    assert not list(faults(a_notebook()))
    assert not list(differences(a_notebook(), tmp_path, documentation))
    assert not dead_links(a_notebook(), tmp_path)


PLANTED = {
    "a wrong output": (2, {"source": "print(x + 1)"}, "second: stored\n2\n\nprinted\n3\n"),
    "an output that isn't stored": (1, {"source": "x = 2; print(x)"}, "first: stored\n\nprinted\n2\n"),
    "a stored output that isn't printed": (2, {"source": "x"}, "second: stored\n2\n\nprinted\n"),
    "an exception": (1, {"source": "1 / 0"}, "first: Traceback"),
    "a cell that needs a later one": (1, {"source": "print(y)"}, "first: Traceback"),
    "a Python warning": (1, {"source": "import warnings\nwarnings.warn('old')"}, "first: Traceback"),
    "an endless loop": (1, {"source": "while True: pass"}, "first: it ended early"),
}


@pytest.mark.parametrize(("cell", "change", "said"), PLANTED.values(), ids=PLANTED)
def test_a_planted_difference_is_found(
    cell: int, change: dict[str, Any], said: str, tmp_path: Path, documentation: ModuleType
) -> None:
    notebook = a_notebook()
    notebook["cells"][cell] |= change
    found = list(differences(notebook, tmp_path, documentation, limit=3.0))
    assert len(found) == 1
    assert found[0].startswith(said)


FAULTY = {
    "a picture": (2, {"outputs": [{"output_type": "display_data", "data": {}, "metadata": {}}]}),
    "an id twice": (2, {"id": "first"}),
    "an id with a space": (2, {"id": "the second"}),
    "code without outputs": (2, {"cell_type": "markdown"}),
    "another kind of cell": (0, {"cell_type": "words"}),
}


@pytest.mark.parametrize(("cell", "change"), FAULTY.values(), ids=FAULTY)
def test_a_planted_fault_of_the_format_is_found(cell: int, change: dict[str, Any]) -> None:
    notebook = a_notebook()
    notebook["cells"][cell] |= change
    assert list(faults(notebook))


@pytest.mark.parametrize("change", [{"nbformat": 3}, {"nbformat_minor": 4}, {"metadata": {}}])
def test_another_format_is_found(change: dict[str, Any]) -> None:
    assert list(faults(a_notebook() | change))


def test_a_planted_dead_link_is_found(tmp_path: Path) -> None:
    assert dead_links(a_notebook(), tmp_path) == ["b.md"]
