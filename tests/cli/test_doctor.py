"""`doctor`: what it tells of a healthy installation and of a sick one, and what it must not tell anybody."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from microgpt_core import __version__
from microgpt_core.cli.main import main
from microgpt_core.pipeline import installation
from microgpt_core.pipeline.installation import missing, private
from microgpt_core.pipeline.runs.cpu import Cache, described
from microgpt_core.pipeline.runs.peak import peaks_file

GOOD = "from microgpt_core.hookspecs import hookimpl\n@hookimpl\ndef microgpt_datasets(): return {'chat': 'a:B'}\n"
CANARY = "c4n4ry-51n65"


@pytest.fixture(autouse=True)
def well(install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation with nothing to fix, in the home folder of somebody with a secret."""
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("HUB_API_KEY", CANARY)


def doctor(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["doctor", *args], prog_name="microgpt")
    assert (result.exit_code, result.stderr) == (code, ""), result.output
    return result.stdout


def test_all_is_well(install) -> None:
    install("good", GOOD)
    lines = doctor().splitlines()
    facts = {line.split()[0]: line[13:].strip() for line in lines[:11]}
    assert set(facts) == {
        "microgpt-core", "python", "platform", "dependencies", "cpu", "caches", "peak", "memory", "disk", "cache",
        "variables",
    }  # fmt: skip
    assert facts["microgpt-core"].startswith(f"{__version__}, plugin API 1, in ")
    assert "pluggy " in facts["dependencies"]
    assert facts["cache"].startswith(str(Path("~", "cache")))
    assert "MICROGPT_CACHE" in facts["variables"]
    pack = next(line for line in lines if line.startswith("good "))
    assert re.match(r"good +microgpt-good 1\.0 +ok +\d+ ms +~.site.microgpt_good_good\.py$", pack)
    assert lines[-1] == "nothing to fix"


def test_what_is_wrong_is_told_with_its_fix(install) -> None:
    install("good", GOOD)
    install("bad", "import os; os._exit(9)")
    install("loud", "print('hello')\n" + GOOD.replace("chat", "talk"))
    lines = doctor(code=1).splitlines()
    fixes = lines[lines.index("to fix:") + 1 :]
    assert len(fixes) == 2
    assert fixes[0].startswith(
        "- pack 'bad' (microgpt-bad 1.0) failed (import): it ended its process with code 9; try: "
    )
    assert "pack 'loud' (microgpt-loud 1.0) printed while it was loaded: hello" in fixes[1]
    found = json.loads(doctor("--json", code=1))
    assert [(p["name"], p["state"]) for p in found["packs"]] == [("bad", "failed"), ("good", "ok"), ("loud", "ok")]
    assert [f"- {line}" for line in found["to fix"]] == fixes


def test_no_secret_no_value_and_no_home(install, tmp_path: Path) -> None:
    install("nosy", "import os\nraise RuntimeError(os.environ['HUB_API_KEY'] + ' in ' + os.environ['HOME'] + '/x')")
    for args in ((), ("--json",)):
        out = doctor(*args, code=1)
        assert "RuntimeError: $HUB_API_KEY in ~/x" in out  # the control: the pack did tell
        assert CANARY not in out
        assert str(tmp_path) not in out
    assert private([CANARY, {"x": f"{tmp_path}er"}, 3]) == ["$HUB_API_KEY", {"x": f"{tmp_path}er"}, 3]


def test_the_machine_as_it_was_measured_or_honestly_unknown(install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "caches", lambda: [Cache(1, 48 << 10), Cache(3, 32 << 20, 8)])
    assert "caches        L1 48 KiB, L3 32,768 KiB\npeak          unknown; microgpt roofline measures it" in doctor()
    monkeypatch.setattr(installation, "caches", lambda: [])
    monkeypatch.setattr(installation, "cpu", lambda: ("a-processor", []))
    peaks_file().parent.mkdir()
    kept = {described(): {"8": {"float32": 1234.0}, "1": {"float32": 205.0, "float64": 102.5}}}
    peaks_file().write_text(json.dumps(kept), encoding="utf-8")
    assert (
        "cores to use; features unknown\ncaches        unknown\n"
        "peak          float32 205.0 GFLOP/s, float64 102.5 GFLOP/s on 1 core; float32 1.2 TFLOP/s on 8 cores\n"
    ) in doctor()


BACKEND = "from microgpt_core.components import Backend\nfrom microgpt_core.hookspecs import hookimpl\n"
TELLS = {
    "well": ("def details(self): return {'level': '9'}", {"level": "9"}),
    "not here": ("def unavailable(self): return 'no GPU'", {"unavailable": "no GPU"}),
    "silent": ("def use(self): pass", {}),
    "wrong": ("def details(self): raise ValueError('GPU_LEVEL=x')", {"problem": "ValueError: GPU_LEVEL=x"}),
}


@pytest.mark.parametrize("case", TELLS)
def test_backends_tell_of_themselves(case: str, install) -> None:
    source, told = TELLS[case]
    install(
        "good",
        f"{BACKEND}class Gpu(Backend):\n    name = 'gpu'\n    {source}\n"
        "@hookimpl\ndef microgpt_backends(): return {'gpu': Gpu}\n",
    )
    wrong = "problem" in told
    lines = doctor(code=int(wrong)).splitlines()
    assert [line for line in lines if line.startswith("gpu ")] == [f"gpu {k:<9} {v}" for k, v in told.items()]
    found = json.loads(doctor("--json", code=int(wrong)))
    assert found["backends"] == {"gpu": told}
    assert found["to fix"] == (["backend 'gpu' (microgpt-good 1.0): ValueError: GPU_LEVEL=x"] if wrong else [])
    assert "backends" not in found["packs"][0]


def test_a_backend_that_cannot_be_imported_is_something_to_fix(install) -> None:
    install("good", f"{BACKEND}@hookimpl\ndef microgpt_backends(): return {{'gpu': 'no_such_module:Gpu'}}\n")
    assert "- backend 'gpu' (microgpt-good 1.0): backend 'gpu' of microgpt-good 1.0: no_such" in doctor(code=1)


def test_a_cache_that_cannot_be_written(install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.os, "access", lambda path, mode: False)
    assert "- the cache ~" in doctor(code=1)


def test_a_missing_dependency(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["pluggy>=1.6", "click>=99", "nothing-like-it>=1", "no-version", 'pytest>=8; extra == "test"']
    monkeypatch.setattr(installation.metadata, "requires", lambda name: needed)
    monkeypatch.setattr(
        installation, "version_of", lambda name: {"nothing-like-it": "", "no-version": ""}.get(name, "8.1")
    )
    assert list(missing()) == [
        'click>=99 is needed, found 8.1: microgpt plugins install "click>=99"',
        'nothing-like-it>=1 is needed, found none: microgpt plugins install "nothing-like-it>=1"',
        "no-version is needed, found none: microgpt plugins install no-version",
    ]
