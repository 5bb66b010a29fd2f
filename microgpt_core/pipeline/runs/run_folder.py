"""Making a run's folder, and writing into it what was asked for and where it ran."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.folders import RESOLVED
from microgpt_core.pipeline.reading.settings import Pipeline, to_dict
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.plugins.hints import quoted
from microgpt_core.saving.metrics_log import saving
from microgpt_core.storage.atomic import atomic_write, remove_stale
from microgpt_core.storage.lock import locked

ENVIRONMENT = "environment.json"
DEPENDENCIES = ("pluggy", "click", "PyYAML", "pydantic", "rich")


def named_folder(output: str | Path | None) -> Path | None:
    """The folder that somebody named for a run. Raises StorageError for a name that the system can't have."""
    if output is None:
        return None
    folder = Path(output)
    with saving(folder), suppress(FileNotFoundError, NotADirectoryError):
        folder.stat()
    return folder


def check_replaceable(output: Path, force: bool) -> None:
    """Raise ConfigurationError for a folder that exists, unless `force` says to replace the run in it.

    Raises StorageError where another process is at work in it: that one would go on into the new run.
    """
    if not output.exists():
        return
    if not force:
        raise ConfigurationError(
            f"{output} exists already; name another folder, go on with the run in it by --resume {quoted(output)}, "
            "or replace it with --force"
        )
    if not (output / RESOLVED).is_file():
        raise ConfigurationError(f"{output} isn't the folder of a run, so --force won't replace it; delete it yourself")
    with locked(output):
        pass


def make_folder(folder: Path, pipeline: Pipeline, environment: dict[str, Any], force: bool = False) -> None:
    """Make the folder, in place of an earlier run's, with what is known before anything has run. All of it or none.

    Raises as `check_replaceable` where another process has made it meanwhile, or is at work in it.
    """
    temporary = folder.with_name(f".{folder.name}.tmp-{os.getpid()}")
    with saving(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(folder.parent)
        temporary.mkdir()
    try:
        write(temporary / "pipeline.yaml", pipeline.text)
        record(temporary, pipeline)
        write(temporary / ENVIRONMENT, json.dumps(environment, indent=2) + "\n")
        check_replaceable(folder, force)
        with saving(folder):
            if force and folder.exists():
                shutil.rmtree(folder)
            os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def record(folder: Path, pipeline: Pipeline) -> None:
    """Write down what a run does, with every default."""
    write(folder / RESOLVED, write_yaml(to_dict(pipeline)))


def write(path: Path, text: str) -> None:
    atomic_write(path, text.encode("utf-8"))
