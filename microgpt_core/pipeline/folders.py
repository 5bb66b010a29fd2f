"""Where runs are, and which folder a name means: of a run, or of a model."""

from glob import escape
from pathlib import Path

from microgpt_core.errors import ConfigurationError

RUNS = Path("runs")
RESOLVED = "resolved.yaml"  # the pipeline with every default; a folder that has it is a run's


def new_folder(name: str) -> Path:
    """The next free `runs/<name>-<n>`."""
    return RUNS / f"{name}-{max(map(number, runs_of(name)), default=0) + 1}"


def runs_of(name: str) -> list[Path]:
    """The folders that runs of this name have, the newest first."""
    found = [path for path in RUNS.glob(f"{escape(name)}-*") if path.name.removeprefix(f"{name}-").isdigit()]
    return sorted(found, key=number, reverse=True)


def number(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


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
        f"{name}: no such run or model folder; runs in {RUNS.absolute()}: {', '.join(known) or 'none'}"
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
