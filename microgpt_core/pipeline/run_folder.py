"""A run's folder: what was asked for, where it ran, and what came out."""

import json
import os
import shutil
from glob import escape
from pathlib import Path
from typing import Any

from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.settings import Pipeline, to_dict
from microgpt_core.pipeline.yaml_writer import write_yaml
from microgpt_core.saving.metrics_log import saving
from microgpt_core.storage.atomic import atomic_write, remove_stale
from microgpt_core.storage.lock import locked

RUNS = Path("runs")
RESOLVED, ENVIRONMENT = "resolved.yaml", "environment.json"
DEPENDENCIES = ("pluggy", "click", "PyYAML", "pydantic", "rich")


def new_folder(name: str) -> Path:
    """The next free `runs/<name>-<n>`."""
    return RUNS / f"{name}-{max(map(number, runs_of(name)), default=0) + 1}"


def runs_of(name: str) -> list[Path]:
    """The folders that runs of this name have, the newest first."""
    found = [path for path in RUNS.glob(f"{escape(name)}-*") if path.name.removeprefix(f"{name}-").isdigit()]
    return sorted(found, key=number, reverse=True)


def number(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def check_replaceable(output: Path, force: bool) -> None:
    """Raise ConfigurationError for a folder that exists, unless `force` says to replace the run in it.

    Raises StorageError where another process is at work in it: that one would go on into the new run.
    """
    if not output.exists():
        return
    if not force:
        raise ConfigurationError(
            f"{output} exists already; name another folder, go on with the run in it by --resume {output}, "
            "or replace it with --force"
        )
    if not (output / RESOLVED).is_file():
        raise ConfigurationError(f"{output} isn't the folder of a run, so --force won't replace it; delete it yourself")
    with locked(output):
        pass


def make_folder(folder: Path, pipeline: Pipeline, environment: dict[str, Any]) -> None:
    """Make the folder, in place of an earlier run's, with what is known before anything has run. All of it or none."""
    temporary = folder.with_name(f".{folder.name}.tmp-{os.getpid()}")
    with saving(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(folder.parent)
        temporary.mkdir()
    write(temporary / "pipeline.yaml", pipeline.text)
    record(temporary, pipeline)
    write(temporary / ENVIRONMENT, json.dumps(environment, indent=2) + "\n")
    with saving(folder):
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)


def record(folder: Path, pipeline: Pipeline) -> None:
    """Write down what a run does, with every default."""
    write(folder / RESOLVED, write_yaml(to_dict(pipeline)))


def write(path: Path, text: str) -> None:
    atomic_write(path, text.encode("utf-8"))


def find_run(name: str) -> Path:
    """The folder of a run or a model: a path, a run's name under `runs/`, or `latest`."""
    if name == "latest":
        runs = [p for p in RUNS.glob("*") if (p / RESOLVED).is_file()]
        if not runs:
            raise ConfigurationError(f"there is no run in {RUNS.absolute()} yet; make one: microgpt run names")
        return max(runs, key=lambda p: (p / RESOLVED).stat().st_mtime_ns)
    for folder in (Path(name), RUNS / name):
        if folder.is_dir():
            return folder
    known = sorted(p.name for p in RUNS.glob("*") if p.is_dir())
    raise ConfigurationError(
        f"{name}: there is no such model folder, and no run of that name in {RUNS.absolute()} "
        f"(runs there: {', '.join(known) or 'none'})"
    )


def model_folder(folder: Path) -> Path:
    """Where the model lies in a run's folder; a model folder is its own. Raises ConfigurationError for neither."""
    for place in (folder / "model", folder):
        if (place / "config.json").is_file():
            return place
    unfinished = (folder / RESOLVED).is_file()
    problem = "the run hasn't finished, so it has no model yet" if unfinished else "neither a run nor a model folder"
    hint = f"; its checkpoints are in {folder / 'checkpoints'}" if (folder / "checkpoints").is_dir() else ""
    raise ConfigurationError(f"{folder}: {problem}{hint}")
