"""The likeliest mistakes, and to the letter what is said of them: mistakes.txt has each with its message.

After a change that is meant: python tests/pipeline/test_golden_mistakes.py writes the file anew, for you to read.
"""

import os
import re
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from microgpt_core.cli.main import main
from microgpt_core.plugins import hints

GOLDEN = Path(__file__).with_name("mistakes.txt")
CASE = re.compile(r"## (.*)\n((?:.*\n)*?)-----\n((?:.*\n)*?)(?=## |\Z)")
CASES = {title: (text, said) for title, text, said in CASE.findall(GOLDEN.read_text(encoding="utf-8"))}


def said_of(text: str) -> str:
    """What `microgpt check` says of a pipeline in the current folder."""
    Path("mine.yaml").write_bytes(text.encode())
    result = CliRunner().invoke(main, ["check", "./mine.yaml"], prog_name="microgpt")
    said = result.output.replace(str(Path.cwd()), "HERE").replace("\\", "/")
    return f"{said.rstrip()}\n[exit {result.exit_code}]\n"


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, an empty cache, no packs, and no clone that they could be installed from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MICROGPT_PLUGINS", "")
    monkeypatch.setattr(hints, "__file__", str(tmp_path / "microgpt_core" / "plugins" / "hints.py"))


def test_there_are_fifty_and_each_is_one() -> None:
    assert len(CASES) == GOLDEN.read_text(encoding="utf-8").count("\n-----\n") >= 50
    assert all("[exit 2]" in said and "Traceback" not in said for _, said in CASES.values())


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("title", CASES)
def test_a_mistake_is_said_to_the_letter(title: str) -> None:
    text, said = CASES[title]
    assert said_of(text) + "\n" == said


@pytest.mark.usefixtures("alone")
def test_what_editors_leave_in_files_is_no_mistake() -> None:
    """A byte order mark, Windows line ends, comments, blank lines, no line end."""
    windows = "seed: 1\r\nmodel:\r\n  n_layer: 1\r\n"
    for text in ("\ufeffseed: 1\n", windows, "# c\n\n  \nseed: 1  # d", "---\nseed: 1\n...\n"):
        assert "mine is right: " in said_of(text)


def write_anew() -> None:
    os.environ |= {"MICROGPT_PLUGINS": ""}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MICROGPT_CACHE"] = os.path.join(os.path.realpath(folder), "cache")
        os.chdir(os.path.realpath(folder))
        hints.__file__ = os.path.join(os.path.realpath(folder), "microgpt_core", "plugins", "hints.py")
        parts = [f"## {title}\n{text}-----\n{said_of(text)}\n" for title, (text, _) in CASES.items()]
        os.chdir(GOLDEN.parent)
    GOLDEN.write_text("".join(parts), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_anew()
