"""Fifty broken packs installed: everything else works, and each is told with its version and the command that helps."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import many_packs
import pytest

KINDS = list(many_packs.BROKEN)
WARNS = [kind for kind in KINDS if kind != "missing class"]  # that one is found when it is used
MESSAGES = Path(__file__).with_name("messages.txt")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return many_packs.write_packs(tmp_path_factory.mktemp("fifty") / "site", broken=50, good=50)


@pytest.fixture(scope="module")
def one_of_each(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return many_packs.write_packs(tmp_path_factory.mktemp("each") / "site", broken=len(KINDS), good=1)


def python(site: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT), *filter(None, sys.path)]),
        "PYTHONUTF8": "1", "NO_COLOR": "1", "COLUMNS": "400", "MICROGPT_IMPORT_LIMIT": "0.5",
    }  # fmt: skip
    command = [sys.executable, *args]
    return subprocess.run(
        command, env=environment | variables, cwd=site.parent, stdin=subprocess.DEVNULL, capture_output=True,
        encoding="utf-8", timeout=300,
    )  # fmt: skip


def microgpt(site: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return python(site, "-m", "microgpt_core", *args, **variables)


def states(packs: list[dict[str, str]]) -> dict[str, str]:
    return {p["name"]: f"{p['state']} {p['stage']}".strip() for p in packs if p["name"].startswith("broken")}


STATES = {
    "import error": "failed import",
    "syntax error": "failed import",
    "exit": "failed import",
    "output": "ok",
    "wrong hook": "failed hooks",
    "wrong signature": "failed hooks",
    "raising hook": "failed call",
    "junk": "failed check",
    "missing class": "ok",
    "duplicate name": "failed names",
    "other API": "incompatible",
    "endless": "failed import",
}
EXPECTED = {f"broken-{i:02}": STATES[many_packs.kind_of(i)] for i in range(50)}


def test_help_is_as_ever(fifty: Path) -> None:
    result = microgpt(fifty, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Commands:" in result.stdout


@pytest.mark.slow
def test_every_pack_is_listed_with_its_state(fifty: Path) -> None:
    result = microgpt(fifty, "plugins", "list", "--json")
    packs = json.loads(result.stdout)
    assert (result.returncode, len(packs)) == (0, 100)
    assert states(packs) == EXPECTED
    assert all(p["state"] == "ok" for p in packs if p["name"].startswith("good"))
    warned = {line.partition("'")[2].partition("'")[0] for line in result.stderr.splitlines()}
    assert warned == {f"broken-{i:02}" for i in range(50) if many_packs.kind_of(i) in WARNS}


@pytest.mark.slow
def test_the_doctor_looks_at_every_pack(fifty: Path) -> None:
    result = microgpt(fifty, "doctor", "--json", MICROGPT_IMPORT_LIMIT="1")
    found = json.loads(result.stdout)
    assert (result.returncode, result.stderr) == (1, "")
    assert states(found["packs"]) == EXPECTED
    assert len(found["to fix"]) == sum(many_packs.kind_of(i) in WARNS for i in range(50))
    only = microgpt(fifty, "doctor", MICROGPT_PLUGINS="good-01,good-02")
    assert (only.returncode, "nothing to fix" in only.stdout) == (0, True)  # the control


@pytest.mark.slow
def test_a_pipeline_that_uses_none_of_them_runs(fifty: Path) -> None:
    result = microgpt(fifty, "run", "names", "--set", "train.max_steps=2", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["samples"]
    strict = microgpt(fifty, "run", "names", "--set", "train.max_steps=2", MICROGPT_STRICT_PLUGINS="1")
    assert strict.returncode == 2  # the control: they are broken
    assert "pack 'broken-00' (microgpt-broken-00 1.0) failed (import)" in strict.stderr


@pytest.mark.slow
def test_a_good_pack_is_used_as_ever(fifty: Path) -> None:
    result = microgpt(fifty, "show", "tokenizer", "good-49/good49")
    assert (result.returncode, result.stdout.startswith("# good49")) == (0, True)


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_really_broken(kind: str, one_of_each: Path) -> None:
    i = KINDS.index(kind)
    if kind == "endless":
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run([sys.executable, str(one_of_each / f"broken_{i:02}.py")], timeout=1)
        return
    ask = f"import broken_{i:02} as m; [getattr(m, n)() for n in dir(m) if n.startswith('microgpt_')]; m.Missing"
    result = python(one_of_each, "-c", ask)
    assert result.returncode != 0 or result.stdout


@pytest.mark.parametrize("chosen", [{"MICROGPT_PLUGINS": "good-00"}, {"MICROGPT_PLUGINS": ""}, {}])
def test_a_disabled_pack_is_never_imported(chosen: dict[str, str], one_of_each: Path) -> None:
    """Seen from an audit hook, which no import gets round."""
    left_out = [] if chosen else [word for i in range(len(KINDS)) for word in ("--no-plugin", f"broken-{i:02}")]
    code = (
        "import sys\nseen = []\n"
        "sys.addaudithook(lambda event, args: event in ('import', 'open', 'exec') and seen.append(str(args[0])))\n"
        "from microgpt_core.cli.main import main\n"
        f"main({['list', *left_out]!r}, prog_name='microgpt', standalone_mode=False)\n"
        "print('SEEN', *[s for s in seen if 'broken_' in s and 'dist-info' not in s])\n"
        "print('GOOD', *[s for s in seen if 'good_' in s and 'dist-info' not in s])\n"
    )
    result = python(one_of_each, "-c", code, **chosen)
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line[:4] in ("SEEN", "GOOD")}
    assert lines["SEEN"] == []
    assert bool(lines["GOOD"]) == (chosen.get("MICROGPT_PLUGINS") != "")  # the control: the hook sees imports
    assert "broken" not in result.stderr.replace("MICROGPT_PLUGINS", "")


def told(site: Path) -> str:
    """What the program says of each kind, one after the other, without what differs from machine to machine."""
    parts = []
    for i, kind in enumerate(KINDS):
        command = ("show", "dataset", f"lost{i}") if kind == "missing class" else ("list", "tokenizers")
        result = microgpt(site, *command, MICROGPT_PLUGINS=f"broken-{i:02}")
        parts.append(f"# {kind}\n{result.stderr.replace(str(site), 'SITE')}")
    return "\n".join(parts)


@pytest.mark.slow
def test_every_message_names_distribution_version_and_fix(one_of_each: Path) -> None:
    found = told(one_of_each)
    assert found == MESSAGES.read_text(encoding="utf-8")
    for part in found.split("\n# "):
        assert re.search(r"microgpt-broken-\d\d 1\.\d+\b", part), part
        assert "microgpt plugins " in part, part
