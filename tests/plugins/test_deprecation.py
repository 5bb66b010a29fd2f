"""A hook that will go: packs that have it still work, and everybody is told what to do, whatever Python shows of it."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner

from microgpt_core import hookspecs
from microgpt_core.cli.main import main
from microgpt_core.pipeline import builtin
from microgpt_core.plugins import probe
from microgpt_core.plugins.loader import load

HEAD = (
    "from microgpt_core.hookspecs import hookimpl\nfrom microgpt_core.components import Schedule\n"
    "class Flat(Schedule):\n    '''Flat.'''\n    name = 'flat'\n"
    "    def after_warmup(self, progress): return 1.0\n"
)
OLD = HEAD + "@hookimpl\ndef microgpt_schedules(): return {'flat': Flat}\n"
SAID = "it goes in microgpt-core 2.0.0; write microgpt_rates, which returns the same"
NOTICE = f"has a deprecated hook, microgpt_schedules: {SAID}; "
UPDATE = "an update may not: microgpt plugins install --upgrade microgpt-old"


@pytest.fixture(autouse=True)
def a_deprecated_hook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A core in which microgpt_schedules will go."""

    def microgpt_schedules() -> hookspecs.Components | None:
        """How the learning rate moves."""

    spec = hookspecs.hookspec(warn_on_impl=DeprecationWarning(SAID))(microgpt_schedules)
    monkeypatch.setattr(hookspecs, "microgpt_schedules", spec)
    monkeypatch.delattr(builtin, "microgpt_schedules")  # what the core does when it deprecates one of its hooks
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def probe_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the probe's other process does, in this one, which knows of the deprecated hook."""

    run_really = subprocess.run

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        if probe.__name__ not in command:
            return run_really(command, **options)
        probe.answer(*command[command.index(probe.__name__) + 1 :])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(probe.subprocess, "run", run)


@pytest.mark.parametrize("filters", ["ignore", "default", "error"])
@pytest.mark.parametrize("strict", [False, True])
def test_a_deprecated_hook_works_and_is_told_in_a_line(
    filters: str, strict: bool, install, caplog: pytest.LogCaptureFixture
) -> None:
    install("old", OLD)
    install("new", HEAD)
    with warnings.catch_warnings():
        warnings.simplefilter(filters)  # whatever Python was told to do with warnings
        registry = load(builtin, strict=strict)
    assert registry.get("schedules", "old/flat").__name__ == "Flat"
    assert {pack.name: (pack.state, pack.stage) for pack in registry.packs[1:]} == {
        "new": ("ok", ""),
        "old": ("ok", ""),
    }
    assert caplog.messages == [f"pack 'old' (microgpt-old 1.0) {NOTICE}{UPDATE}"]


def test_a_file_is_told_to_be_corrected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "old.py"
    file.write_text(OLD, encoding="utf-8")
    assert load(builtin, [file]).names("schedules") == ["flat"]
    assert [message for message in caplog.messages if "deprecated" in message] == [
        f"pack 'old' ({file}) {NOTICE}correct the file"
    ]


def test_list_says_it(install) -> None:
    install("old", OLD)
    result = CliRunner().invoke(main, ["plugins", "list"])
    assert (result.exit_code, result.stdout.splitlines()[1].split()[:4]) == (0, ["old", "microgpt-old", "1.0", "ok"])
    (pack,) = json.loads(CliRunner().invoke(main, ["plugins", "list", "--json"]).stdout)
    assert (pack["state"], pack["deprecated"]) == ("ok", [f"microgpt_schedules: {SAID}"])


def test_doctor_says_it(install, probe_here) -> None:
    install("old", OLD)
    result = CliRunner().invoke(main, ["doctor"])
    fixes = result.stdout.partition("to fix:\n")[2].splitlines()
    assert fixes == [f"- pack 'old' (microgpt-old 1.0) {NOTICE}{UPDATE}"]
    (pack,) = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)["packs"]
    assert (pack["state"], pack["deprecated"]) == ("ok", [f"microgpt_schedules: {SAID}"])
    assert "microgpt_old_old" in sys.modules  # it did run here, so that the planted hook was seen
