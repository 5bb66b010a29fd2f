"""Commands that packs add to a group of the core's: listed from metadata alone, imported when they are called."""

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from microgpt_core.cli.main import main

SOURCE = '''
import click

@click.command("weigh")
@click.argument("name")
def weigh(name):
    """Weigh a text."""
    click.echo(f"{name} weighs 3 kg")
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    site, discover = tmp_path / "site", metadata.Distribution.discover
    site.mkdir()
    monkeypatch.setattr(metadata, "distributions", lambda: discover(path=[str(site)]))
    monkeypatch.syspath_prepend(site)

    def install(points: str, source: str, distribution: str = "microgpt-scales") -> None:
        module = distribution.replace("-", "_")
        monkeypatch.delitem(sys.modules, module, raising=False)  # another test's
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[microgpt.commands.v1]\n{points}", encoding="utf-8")

    return install


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_a_command_of_a_pack_in_a_group_of_the_core(install) -> None:
    install("data.weigh = microgpt_scales:weigh\n", SOURCE)
    assert run("data", "weigh", "names") == (0, "names weighs 3 kg\n")
    code, said = run("data", "--help")
    assert code == 0
    assert "  weigh  from microgpt-scales" in said
    assert "  list " in said
    assert "weigh" not in run("--help")[1]
    assert run("weigh", "names")[0] == 2


def test_a_broken_pack_breaks_its_own_command_alone(install) -> None:
    install("data.weigh = microgpt_scales:weigh\n", "raise SystemError('no')")
    assert run("data", "list")[0] == 0
    assert "from microgpt-scales" in run("data", "--help")[1]
    code, said = run("data", "weigh", "names")
    assert code != 0
    assert "the command 'data.weigh' of microgpt-scales 1.0" in said


def test_the_names_of_the_core_cant_be_taken(install) -> None:
    install("data.list = microgpt_scales:weigh\n", SOURCE)
    code, said = run("data", "list", "--json")
    assert code == 0
    assert {entry["name"] for entry in json.loads(said)} >= {"ssa-names"}
    assert "microgpt-scales" not in run("data", "--help")[1]


def test_two_packs_with_one_name_are_refused(install) -> None:
    install("data.weigh = microgpt_scales:weigh\n", SOURCE)
    install("data.weigh = microgpt_others:weigh\n", SOURCE, "microgpt-others")
    code, said = run("data", "weigh", "names")
    assert code != 0
    assert "comes from several packs: microgpt-others 1.0, microgpt-scales 1.0" in said


def test_a_command_that_there_isnt(install) -> None:
    code, said = run("data", "lst")
    assert code == 2
    assert "there is no command data 'lst' (did you mean 'list'?)" in said
