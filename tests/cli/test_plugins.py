"""`plugins` from the outside: what is listed, which command is run, and that what `new` makes is a pack at once."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from microgpt_core.cli import plugins as program
from microgpt_core.cli.main import main
from microgpt_core.pipeline import builtin
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.scaffold import KINDS_OF_PACKS
from microgpt_core.testing.conformance import test_pack as try_pack

HEAD = "from microgpt_core.hookspecs import hookimpl\n"
GOOD = HEAD + (
    "@hookimpl\ndef microgpt_tokenizers(): return dict.fromkeys(['t1', 't2', 't3', 't4', 't5'], 'a:B')\n"
    "@hookimpl\ndef microgpt_datasets(): return {'chat': 'a:B'}\n"
)
ONE_FILE = """
from microgpt_core.components import Unary

class Square(Unary):
    '''x squared.'''
    def f(self, x): return x * x
    def df(self, x): return SLOPE * x
"""


def run(*args: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(main, [str(a) for a in args], prog_name="microgpt")
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_list(install, caplog: pytest.LogCaptureFixture) -> None:
    install("good", GOOD)
    install("bad", "1 / 0")
    out, _ = run("plugins", "list", "--no-plugin", "good")
    assert "--no-plugin leaves it out" in out
    lines = [re.split("  +", line) for line in run("plugins", "list")[0].splitlines()]
    assert lines[0] == ["pack", "from", "state", "brings", "file"]
    assert [line[:3] for line in lines[1:]] == [
        ["bad", "microgpt-bad 1.0", "failed (import)"], ["good", "microgpt-good 1.0", "ok"],
    ]  # fmt: skip
    assert lines[2][3] == "tokenizers: t1, t2, t3, t4 and 1 more; datasets: chat"
    assert Path(lines[2][4]).name == "microgpt_good_good.py"
    assert "pack 'bad' (microgpt-bad 1.0) failed (import): ZeroDivisionError" in caplog.text


def test_list_as_json(install) -> None:
    install("good", GOOD)
    install("bad", "1 / 0")
    bad, good = json.loads(run("plugins", "list", "--json")[0])
    assert (good["name"], good["version"], good["state"]) == ("good", "1.0", "ok")
    assert good["components"] == {"tokenizers": ["t1", "t2", "t3", "t4", "t5"], "datasets": ["chat"]}
    assert (bad["state"], bad["stage"], "ZeroDivisionError" in bad["problem"]) == ("failed", "import", True)


def test_list_of_a_hook_and_of_everything(install, tmp_path: Path) -> None:
    assert run("plugins", "list")[0].startswith("none; to get one: microgpt plugins install")
    install("good", GOOD)
    file = tmp_path / "square.py"
    file.write_text(ONE_FILE, encoding="utf-8")

    def names(*args: object) -> list[str]:
        return [pack["name"] for pack in json.loads(run("plugins", "list", "--json", "--plugin", file, *args)[0])]

    assert names() == ["good", "square"]
    assert names("--all") == ["core", "good", "square"]
    assert names("--all", "--hook", "microgpt_ops") == ["core", "square"]
    assert names("--hook", "datasets") == ["good"]
    assert "unknown kind 'oops' (did you mean 'ops'?)" in run("plugins", "list", "--hook", "microgpt_oops", code=2)[1]


def test_hooks() -> None:
    out, _ = run("plugins", "hooks")
    assert out.startswith("version 1 of the plugin API; entry points in the group microgpt.plugins.v1\n")
    assert re.search(r"^microgpt_ops +\(\) -> Mapping\[str, Any\] \| None +What can be computed: ", out, re.MULTILINE)
    found = json.loads(run("plugins", "hooks", "--json")[0])
    assert (found["api"], len(found["hooks"])) == (1, 15)


@pytest.mark.parametrize(("slope", "code", "said"), [("2.0", 0, " passed"), ("2.2", 1, "1.10 times too large")])
def test_test(slope: str, code: int, said: str, tmp_path: Path) -> None:
    file = tmp_path / "square.py"
    file.write_text(ONE_FILE.replace("SLOPE", slope), encoding="utf-8")
    assert said in run("plugins", "test", file, code=code)[0]
    assert json.loads(run("plugins", "test", file, "--json", code=code)[0])["ok"] is not bool(code)


class Pip:
    """What was run in place of pip, and what that installed."""

    def __init__(self, code: int = 0) -> None:
        self.code, self.commands, self.then = code, list[list[str]](), lambda: None

    def __call__(self, command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        if command[2] != "pip":
            return run_really(command, **options)  # the probe of what came in
        self.commands.append(command)
        self.then()
        return subprocess.CompletedProcess(command, self.code)


run_really = subprocess.run


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Pip:
    pip = Pip()
    monkeypatch.setattr("microgpt_core.plugins.installer.keeper", lambda: "")
    monkeypatch.setattr(program.subprocess, "run", pip)
    return pip


def test_install_runs_pip_and_shows_what_came_in(install, pip: Pip) -> None:
    install("old", "1 / 0")
    pip.then = lambda: install("new", GOOD)
    out, err = run("plugins", "install", "microgpt-new", "--upgrade")
    assert pip.commands == [[sys.executable, "-m", "pip", "install", "--upgrade", "microgpt-new"]]
    assert [line.split()[:4] for line in out.splitlines()[1:]] == [["new", "microgpt-new", "1.0", "ok"]]
    assert "microgpt_new_new" not in sys.modules  # nor does anything of it run here
    pip.then = lambda: None
    assert run("plugins", "install", "microgpt-new")[0] == "no pack came in that wasn't there before\n"


def test_install_says_when_what_came_in_is_broken(install, pip: Pip, caplog: pytest.LogCaptureFixture) -> None:
    pip.then = lambda: install("new", "1 / 0")
    out, _ = run("plugins", "install", "./new", "-e", code=1)
    assert pip.commands[0][3:] == ["install", "--editable", "./new"]
    assert "failed (import)" in out
    assert "ZeroDivisionError" in caplog.text


def test_uninstall_needs_no_pack_to_work(install, pip: Pip) -> None:
    install("bad", "import os; os._exit(9)")
    run("plugins", "uninstall", "bad")
    assert pip.commands[0][3:] == ["uninstall", "--yes", "microgpt-bad"]
    assert "unknown pack 'abd' (did you mean 'bad'?)" in run("plugins", "uninstall", "abd", code=2)[1]


def test_a_dry_run_only_prints(install, pip: Pip) -> None:
    install("bad", "1 / 0")
    python = sys.executable
    assert run("plugins", "install", "--dry-run", "a", "b>=1")[0] == f'{python} -m pip install a "b>=1"\n'
    assert run("plugins", "uninstall", "--dry-run", "bad")[0] == f"{python} -m pip uninstall --yes microgpt-bad\n"
    assert pip.commands == []


def test_pip_that_fails_is_an_error(pip: Pip) -> None:
    pip.code = 23
    assert "error: pip ended with code 23: " in run("plugins", "install", "x", code=1)[1]


def test_an_environment_that_somebody_keeps_is_left_alone(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt_core.plugins.installer.keeper", lambda: "conda keeps")
    for args in (["install", "x"], ["install", "--dry-run", "x"]):
        assert (
            "error: conda keeps this Python environment, so nothing was done; run: conda run"
            in run("plugins", *args, code=1)[1]
        )
    assert pip.commands == []


OP = ONE_FILE.replace("SLOPE", "2.0")
BACKEND = HEAD + (
    "from microgpt_core.components import Backend\nclass Other(Backend): name = 'other'\n"
    "@hookimpl\ndef microgpt_backends(): return {'other': Other}\n"
    "@hookimpl\ndef microgpt_ops(): return {'square': Square}\n"
)


@pytest.fixture
def made(install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`made(kind, name)` makes a pack and installs it as pip would: by its own metadata, its folder on the path."""
    if not importlib.util.find_spec("copier"):
        pytest.skip("what `plugins new` makes packs with isn't installed")

    def made(kind: str, name: str) -> tuple[Path, str]:
        out, _ = run("plugins", "new", kind, name, "--output", tmp_path / "packs")
        (folder,) = (tmp_path / "packs").iterdir()
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        ((entry, module),) = project["project"]["entry-points"]["microgpt.plugins.v1"].items()
        info = tmp_path / "site" / f"{project['project']['name'].replace('-', '_')}-0.1.0.dist-info"
        info.mkdir()
        metadata = f"Name: {project['project']['name']}\nVersion: {project['project']['version']}\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[microgpt.plugins.v1]\n{entry} = {module}\n", encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        return folder, out

    return made


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS_OF_PACKS)
def test_what_new_makes_is_listed_and_passes_its_tests(kind: str, made, install) -> None:
    install("other", BACKEND + OP)
    name = "other/square" if kind == "kernel" else f"my-{kind}"
    folder, out = made(kind, name)
    assert name in load(builtin, strict=True).names(kind)
    assert [line.split()[:3] for line in out.splitlines()[:2]] == [
        ["microgpt", "plugins", "install"], ["microgpt", "plugins", "test"],
    ]  # fmt: skip
    assert len(out.splitlines()) == 3
    report = try_pack(folder.name)
    assert report, report
    (test_file,) = (folder / "tests").iterdir()
    assert f'pack_tests("{folder.name}")' in test_file.read_text(encoding="utf-8")
    assert {file.name for file in folder.iterdir()} == {
        "README.md", "CHANGELOG.md", "pyproject.toml", "tests", folder.name.replace("-", "_"),
    }  # fmt: skip


NO_NAMES = [
    ("op", "gelu", "op 'gelu' exists already: microgpt show op gelu"),
    ("op", "Gelu", "returned the name 'Gelu'; expected lower-case letters"),
    ("op", "a/b", "expected lower-case letters"),
    ("kernel", "gelu", "expected `backend/op`"),
    ("kernel", "numpie/gelu", "unknown backend 'numpie'"),
    ("kernel", "reference/geluu", "unknown op 'geluu' (did you mean 'gelu'?)"),
    ("kernel", "reference/gelu", "the core's backend runs the ops themselves"),
]


@pytest.mark.parametrize(("kind", "name", "said"), NO_NAMES)
def test_new_refuses_names(kind: str, name: str, said: str, install, tmp_path: Path) -> None:
    assert said in run("plugins", "new", kind, name, "-o", tmp_path, code=2)[1]
    assert list(tmp_path.iterdir()) == [tmp_path / "site"]


def test_new_leaves_alone_what_exists(install, tmp_path: Path) -> None:
    (tmp_path / "microgpt-swish").mkdir()
    said = run("plugins", "new", "op", "swish", "-o", tmp_path, code=2)[1]
    assert "microgpt-swish exists already; name another folder: --output DIR" in said


def test_new_says_how_to_get_copier(install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt_core.plugins.scaffold.find_spec", lambda name: None)
    said = run("plugins", "new", "op", "swish", "-o", tmp_path, code=1)[1]
    assert said.endswith("made with Copier, which isn't installed: microgpt plugins install copier\n")


def test_new_says_when_copier_fails(install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt_core.plugins.scaffold.find_spec", lambda name: True)
    monkeypatch.setattr(sys, "executable", sys.executable)
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr("microgpt_core.plugins.scaffold.subprocess.run", lambda *args, **options: failed)
    assert "Copier didn't make" in run("plugins", "new", "op", "swish", "-o", tmp_path, code=1)[1]
