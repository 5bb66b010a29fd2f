"""Reports in files: saved whole or not at all, and read strictly."""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any, NoReturn

from microgpt_bench.results.result import SCHEMA, Report, Result
from microgpt_bench.results.strict import UnfitError, conform, mapping
from microgpt_core.errors import ConfigurationError
from microgpt_core.storage.atomic import atomic_write

FOLDER = Path("bench")


def default_path(bench: str) -> Path:
    """Where a report goes that was given no name: bench/2026-03-01-142530-step.json in the current folder."""
    first = f"{datetime.now():%Y-%m-%d-%H%M%S}-{bench}"
    names = chain([first], (f"{first}-{n}" for n in count(2)))
    return next(path for name in names if not (path := FOLDER / f"{name}.json").exists())


def save(report: Report, path: Path) -> None:
    """Write a report to a file, in folders that may be new. Raises StorageError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, as_json(report).encode("utf-8"))


def as_json(report: Report) -> str:
    """What --json prints and --save keeps."""
    return json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"


def load(path: Path) -> Report:
    """The report in a file. Raises ConfigurationError where there is none."""
    try:
        return parse(path.read_bytes())
    except OSError as error:
        why = error.strerror or str(error)
    except (ValueError, RecursionError) as error:  # also of bytes that aren't UTF-8, and of text that isn't JSON
        why = str(error)
    raise ConfigurationError(f"{path}: {why}. Make one with: microgpt bench ops --save {path.name}")


def parse(data: bytes) -> Report:
    """A report from its JSON. Raises ValueError saying where something is wrong."""
    given = mapping(json.loads(data.decode("utf-8"), parse_constant=refuse), "the file")
    if given.get("schema") != SCHEMA:
        raise UnfitError("schema", given.get("schema"), f"{SCHEMA}, which this version of microgpt-bench writes")
    report: Report = conform(Report, given, "the file")
    for i, result in enumerate(report.results):
        check_rounds(result, f"the file.results[{i}]")
    return report


def refuse(number: str) -> NoReturn:
    raise UnfitError("a number", number, "finite numbers")


def check_rounds(result: Result, place: str) -> None:
    """Whether there is something to compare."""
    rounds, yardstick = result.rounds_ms, result.yardstick_ms
    if not (rounds and all(rounds)):
        raise UnfitError(f"{place}.rounds_ms", shape(rounds), "at least one round in each process")
    if min(map(min, rounds)) < 0:
        raise UnfitError(f"{place}.rounds_ms", min(map(min, rounds)), "times from 0 on")
    if yardstick and (shape(yardstick) != shape(rounds) or min(map(min, yardstick)) <= 0):
        raise UnfitError(
            f"{place}.yardstick_ms", shape(yardstick), f"times above 0, as many as rounds: {shape(rounds)}"
        )


def shape(rounds: Sequence[Sequence[Any]]) -> list[int]:
    """The rounds of each process."""
    return [len(process) for process in rounds]
