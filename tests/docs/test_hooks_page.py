"""docs/reference/hooks.md has a section for every hook, and says what `microgpt plugins hooks` says."""

import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from microgpt_core import hookspecs
from microgpt_core.cli.main import main
from microgpt_core.plugins.discovery import COMMAND_GROUP

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")
CHOICE = (ROOT / "docs" / "how-to" / "choose-a-base-class.md").read_text(encoding="utf-8")


def specified() -> list[str]:
    return [name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")]


def lacking(page: str) -> list[str]:
    """The hooks without a section that shows the signature, an example of the hook, and a command that uses it."""
    sections = {part.partition("\n")[0]: part for part in re.split(r"(?m)^## ", page)[1:]}
    return [
        hook
        for hook in specified()
        if not all(
            wanted in sections.get(hook, "")
            for wanted in (f"```text\n{hook}() -> ", f"@hookimpl\ndef {hook}():", "```console\n$ microgpt ")
        )
    ]


def test_every_hook_has_its_section() -> None:
    assert lacking(PAGE) == []


@pytest.mark.parametrize("lost", ["## microgpt_stages\n", "```text\nmicrogpt_ops() -> ", "def microgpt_kernels():"])
def test_a_lost_part_is_noticed(lost: str) -> None:
    assert lost in PAGE
    assert len(lacking(PAGE.replace(lost, ""))) == 1


def test_a_planted_hook_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    @hookspecs.hookspec
    def microgpt_samplers() -> hookspecs.Components | None:
        """How the next token is drawn."""

    monkeypatch.setattr(hookspecs, "microgpt_samplers", microgpt_samplers, raising=False)
    assert lacking(PAGE) == ["microgpt_samplers"]


def test_the_command_says_the_same() -> None:
    told = json.loads(CliRunner().invoke(main, ["plugins", "hooks", "--json"]).stdout)
    assert [hook["name"] for hook in told["hooks"]] == re.findall(r"(?m)^## (microgpt_\w+)$", PAGE) == specified()
    assert told["group"] in PAGE
    assert COMMAND_GROUP in PAGE
    for hook in told["hooks"]:
        assert f"```text\n{hook['name']}{hook['signature']}\n```\n\n{hook['doc']}\n" in PAGE


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("reference_pages.hooks")


def test_every_base_class_can_be_chosen(pages: ModuleType) -> None:
    classes = [name for names in pages.BASE_CLASSES.values() for name in names]
    assert [name for name in classes if f"\n### {name}\n" not in PAGE] == []
    assert [name for name in classes if f"| [`{name}`](#" not in CHOICE] == []
    assert [hook for hook in specified() if f"hooks.md#{hook})" not in CHOICE] == []
