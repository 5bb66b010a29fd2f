"""The runs that were kept under their time in the folder `bench`, and one of each kind that others are compared with.

A baseline is a copy: it stays when old runs are thrown away, and can be put under version control.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from microgpt_bench.results.result import Report
from microgpt_bench.results.store import FOLDER, load
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.storage.atomic import atomic_write

LATEST, BASELINE = "latest", "baseline"
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A report, and the file that it is in."""

    path: Path
    report: Report

    @property
    def name(self) -> str:
        """What it can be called: 2026-03-01-142530-step."""
        return self.path.stem

    @property
    def time(self) -> str:
        """When it was measured, in UTC."""
        return str(self.report.machine.get("time", ""))

    @property
    def bench(self) -> str:
        """The kind of work; "" where nothing could be measured."""
        return self.report.results[0].bench if self.report.results else ""

    @property
    def revision(self) -> str:
        """The first digits of the commit, with a + where files had changed since; "" outside of a clone."""
        git = self.report.machine.get("git")
        return f"{str(git.get('commit'))[:7]}{'+' if git.get('changed') else ''}" if isinstance(git, dict) else ""


def runs(warn: Warn) -> list[Run]:
    """Those in the folder, the oldest first. A file that can't be read is told, and left out."""
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        if not path.name.startswith(f"{BASELINE}-"):
            try:
                found.append(Run(path, load(path)))
            except ConfigurationError as error:
                warn(f"warning: left out: {error}")
    return sorted(found, key=lambda run: (run.time, run.name))


def baseline_path(bench: str) -> Path:
    return FOLDER / f"{BASELINE}-{bench}.json"


def set_baseline(run: Run) -> Path:
    """Have later runs of its kind compared with this one. Raises ConfigurationError and StorageError."""
    if not run.bench.isalpha():  # what a file calls it becomes a part of a path
        raise ConfigurationError(f"{run.path}: found the results of {run.bench or 'nothing'}, allowed: a benchmark's")
    path = baseline_path(run.bench)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, run.path.read_bytes())
    return path


def find(warn: Warn, *names: str) -> list[Run]:
    """The runs of these names: a file, one of `runs` without its ending, `latest`, or `baseline`.

    What is named plainly says which kind `latest` and `baseline` are of; or else the latest of all says it.
    Raises ConfigurationError where one isn't there.
    """
    found: dict[str, Run] = {}
    bench = ""
    for name in sorted(names, key=lambda name: (name == BASELINE, name == LATEST)):
        found[name] = of_name(warn, name, bench)
        bench = bench or found[name].bench
    return [found[name] for name in names]


def of_name(warn: Warn, name: str, bench: str) -> Run:
    if name == LATEST:
        return latest(warn, bench)
    if name == BASELINE:
        return baseline(warn, bench)
    path = FOLDER / f"{name}.json"
    if not (path.is_file() or Path(name).suffix or Path(name).is_file()):
        known = [LATEST, BASELINE, *(kept.stem for kept in FOLDER.glob("*.json"))]
        raise UnknownNameError("benchmark run", name, known, "Or give a file that --save has written")
    path = path if path.is_file() else Path(name)
    return Run(path, load(path))


def latest(warn: Warn, bench: str = "") -> Run:
    kept = [run for run in runs(warn) if bench in ("", run.bench)]
    if not kept:
        kind = f"{bench} " if bench else ""
        raise ConfigurationError(
            f"{FOLDER}: no {kind}run is kept in this folder; keep one: microgpt bench {bench or 'step'} --save"
        )
    return kept[-1]


def baseline(warn: Warn, bench: str) -> Run:
    path = baseline_path(bench or latest(warn).bench)
    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no such baseline yet; choose one: microgpt bench baseline [RUN]")
    return Run(path, load(path))
