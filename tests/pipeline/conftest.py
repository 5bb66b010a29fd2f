"""What tests of a pipeline's backends and passes share: the pack in their own PACK, and runs with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.pipeline.runs.run import Reporter, Run


class Headlines(Reporter):
    """Keeps what a run says of itself."""

    def __init__(self) -> None:
        self.text = ""

    def headline(self, text: str) -> None:
        self.text += f"{text}\n"


@pytest.fixture
def headlines() -> Headlines:
    return Headlines()


@pytest.fixture
def pack(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a pack, in a folder in which runs leave nothing to others."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "loud.py"
    file.write_text(request.module.PACK, encoding="utf-8", newline="\n")
    return file


@pytest.fixture
def run(request: pytest.FixtureRequest, pack: Path) -> Callable[..., tuple[Run, str]]:
    """Runs `names` as short as the tests' own SHORT makes it: what came of it, and what it said."""

    def made(**overrides: Any) -> tuple[Run, str]:
        headlines = Headlines()
        return mg.run("names", request.module.SHORT | overrides, plugins=[pack], reporter=headlines), headlines.text

    return made
