"""What a run writes down at each step: `metrics.jsonl`, always the same, and `timings.jsonl`, never."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

from microgpt_core.errors import StorageError

METRICS, TIMINGS = "metrics.jsonl", "timings.jsonl"
logger = logging.getLogger(__name__)


class MetricsLog:
    """Two files of a JSON object per line, flushed at each step. Without a folder it writes nothing.

    It goes on behind the line of `step`; what comes after that one is dropped. 0 begins anew. Where that step is timed
    but not yet `logged`, its metrics are dropped too: they are written again.
    """

    def __init__(self, folder: Path | None, step: int = 0, logged: bool = True) -> None:
        self.folder, self._step, self._logged, self._open = folder, step, logged, ExitStack()
        self._files: dict[str, BinaryIO] = {}
        self.elapsed = 0.0  # seconds of training before this log was opened

    def __enter__(self) -> Self:
        if self.folder is not None:
            with saving(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                for path in (self.folder / METRICS, self.folder / TIMINGS):
                    self._open.enter_context(saving(path))  # closing tries once more to write what was refused
                    self._files[path.name] = self._open.enter_context(path.open("ab+"))
            self.cut(self._step, self._logged)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def write(self, name: str, values: dict[str, Any]) -> None:
        """A line for one of the files."""
        if file := self._files.get(name):
            with saving(Path(file.name)):
                file.write(json.dumps(values, allow_nan=False).encode("ascii") + b"\n")
                file.flush()

    def cut(self, step: int, logged: bool = True) -> None:
        """Drop what was written after a step, and a line that a killed program left half written."""
        for name, file in self._files.items():
            kept = step if logged or name == TIMINGS else step - 1
            with saving(Path(file.name)):
                file.seek(0)
                last, end = {"step": 0}, 0
                for line in file:
                    if not 0 < (values := parse(line))["step"] <= kept:
                        break
                    last, end = values, end + len(line)
                file.truncate(end)
                self.elapsed = last.get("elapsed_s", 0.0)  # of the last file, the timings
                if last["step"] < kept:
                    logger.warning(
                        "%s ends with step %d, though there is a checkpoint of step %d", file.name, last["step"], step
                    )

    def sync(self) -> None:
        """Force what was written to the disk, so that no checkpoint is ahead of it."""
        for file in self._files.values():
            with saving(Path(file.name)):
                os.fsync(file.fileno())


def parse(line: bytes) -> dict[str, Any]:
    """A line's values; of what is no whole line, that its step is 0."""
    try:
        values = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        values = None
    return values if isinstance(values, dict) and isinstance(values.get("step"), int) else {"step": 0}


@contextmanager
def saving(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"can't write {path}: {error.strerror or error}", error.errno) from error
