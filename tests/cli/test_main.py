"""The program: quick help that imports nothing heavy, one place where errors end, and commands of packs."""

import json
import os
import subprocess
import sys
from errno import EFBIG, ENAMETOOLONG, ENOSPC, EROFS
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from microgpt_core import __version__
from microgpt_core.cli import main as program, packs
from microgpt_core.errors import ConfigurationError, DoesNotFitError, NonFiniteError
from microgpt_core.plugins.discovery import Point

HEAVY = {"pydantic", "yaml", "rich", "pluggy", "microgpt_core.pipeline", "microgpt_core.ops", "microgpt_core.engine"}


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(program.main, args, prog_name="microgpt")
    return result.exit_code, result.stdout, result.stderr


def imported(code: str, site: Path) -> set[str]:
    """The modules that a fresh interpreter has after running `code`."""
    code += "\nimport json, sys; print(json.dumps(list(sys.modules)), file=sys.stderr)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(result.stderr.splitlines()[-1]))


def test_help_imports_no_pack_and_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "microgpt_loud.py").write_text("raise SystemError", encoding="utf-8")
    info = tmp_path / "microgpt_loud-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: microgpt-loud\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[microgpt.plugins.v1]\nloud = microgpt_loud\n[microgpt.commands.v1]\nshout = microgpt_loud:shout\n",
        encoding="utf-8",
    )
    call = (
        "from microgpt_core.cli.main import main\ntry: main(['--help'], prog_name='microgpt')\nexcept SystemExit: pass"
    )
    loaded = imported(call, tmp_path)
    assert "click" in loaded
    assert not loaded & (HEAVY | {"microgpt_loud"})
    control = imported("import pydantic, yaml, microgpt_core.pipeline.reading.read", tmp_path)
    assert {"pydantic", "yaml", "microgpt_core.pipeline"} <= control  # the check sees what it looks for


def test_help_lists_every_command_that_exists() -> None:
    code, out, _ = run("--help")
    assert code == 0
    for name in program.COMMANDS:
        assert f"  {name} " in out
        command = program.main.get_command(click.Context(program.main), name)
        assert isinstance(command, click.Command)
        assert command.name == name
        assert run(name, "--help")[0] == 0
    assert "Examples:" in out


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """How each command, and each command of a command, is typed."""
    found: list[tuple[str, ...]] = []
    for name in program.COMMANDS if group is program.main else group.commands:
        command = group.get_command(click.Context(group), name)
        found += [(*path, name), *(commands(command, *path, name) if isinstance(command, click.Group) else [])]
    return found


@pytest.mark.parametrize("words", commands(program.main), ids=" ".join)
def test_each_help_has_an_example_of_itself(words: tuple[str, ...]) -> None:
    help, examples = run(*words, "--help")[1].split("Example")
    assert f"\n    microgpt {' '.join(words)}" in examples
    assert help


def test_version() -> None:
    assert run("--version") == (0, f"microgpt-core {__version__}\n", "")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["lst"], "there is no command 'lst' (did you mean 'list'?)"),
        (["bench"], "there is no command 'bench'. microgpt-bench brings it: microgpt plugins install "),
        (["list", "--jsn"], "--json"),
        (["show", "op"], "Missing argument 'NAME'"),
        (["list", "tokenisers"], "(did you mean 'tokenizers'?)"),
        (["show", "optimizer", "adamm"], "error: unknown optimizer 'adamm' (did you mean 'adam'?)"),
        (["show", "pipeline", "nmaes"], "(did you mean 'names'?)"),
        (["data", "get", "ssa"], "unknown data set 'ssa'"),
        (["list", "--plugin", "no.py"], "--plugin no.py: no such file"),
    ],
)
def test_usage_errors_end_with_code_2(args: list[str], said: str) -> None:
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


class Entry:
    """An entry point that loads to something."""

    def __init__(self, value: object) -> None:
        self.value = value

    def load(self) -> object:
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


def with_commands(monkeypatch: pytest.MonkeyPatch, *values: object, name: str = "extra") -> None:
    """As if packs a, b, ... brought these as the command `name`."""
    points = [Point(f"microgpt-{'ab'[i]}", name, "1.0", "m:command", Entry(v)) for i, v in enumerate(values)]  # type: ignore[arg-type]
    monkeypatch.setattr(packs, "entry_points", lambda group: points)


def failing(error: BaseException) -> click.Command:
    def callback() -> None:
        raise error

    return click.Command("extra", callback=callback)


def test_a_packs_command_is_listed_and_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with_commands(monkeypatch, click.Command("extra", callback=lambda: click.echo("hello")))
    assert "extra  from microgpt-a" in run("--help")[1]
    assert run("extra") == (0, "hello\n", "")


def test_a_pack_can_not_replace_a_command_of_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    with_commands(monkeypatch, failing(ConfigurationError("no")), name="list")
    assert run("list")[0] == 0
    assert "Commands of packs" not in run("--help")[1]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            [ImportError("no c")],
            "error: the command 'extra' of microgpt-a 1.0: ImportError: no c; try: microgpt plugins",
        ),
        ([SystemExit(3)], "SystemExit: 3"),
        ([print], "m:command is no click command"),
        (
            [print, print],
            "comes from several packs: microgpt-a 1.0, microgpt-b 1.0; remove one, say: microgpt plugins",
        ),
    ],
)
def test_a_broken_command_of_a_pack(values: list[object], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_commands(monkeypatch, *values)
    assert "from microgpt-a" in run("--help")[1]
    code, _, err = run("extra")
    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigurationError("bad"), 2, "error: bad\n"),
        (NonFiniteError("nan"), 3, "error: nan\n"),
        (DoesNotFitError("full"), 4, "error: full\n"),
        (KeyboardInterrupt(), 130, "\nstopped\n"),
    ],
)
def test_an_error_ends_with_its_own_code(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_commands(monkeypatch, failing(error))
    assert run("extra") == (code, "", said)


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color(no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    with_commands(monkeypatch, failing(ConfigurationError("bad")))
    result = CliRunner().invoke(program.main, ["extra"], color=True)
    assert ("\x1b[" in result.stderr) is coloured


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    code = "from microgpt_core.cli.main import main; main(['list', 'ops'], prog_name='microgpt')"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()


@pytest.mark.parametrize(("number", "code"), [(ENAMETOOLONG, 1), (EROFS, 1), (ENOSPC, 4), (EFBIG, 4)])
def test_what_the_system_refuses_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    @click.command()
    def refused() -> None:
        raise OSError(number, os.strerror(number), "some/place")

    monkeypatch.setattr(
        program,
        "pack_commands",
        lambda: {"refused": [Point("a-pack", "refused", "1", "x:y", EntryPoint("refused", "x:y", "g"))]},
    )
    monkeypatch.setattr(program, "load_command", lambda points: refused)
    found, out, err = run("refused")
    assert (found, out) == (code, "")
    assert err == f"error: some/place: {os.strerror(number)}; check the name, the permissions and the room there\n"
