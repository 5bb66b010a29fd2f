"""What a run writes down at each step: `metrics.jsonl`, always the same, and `timings.jsonl`, never."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TextIO

from microgpt_core.errors import StorageError


class MetricsLog:
    """Two files of a JSON object per line, flushed at each step. Without a folder it writes nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder, self._open = folder, ExitStack()
        self._files: list[TextIO] = []

    def __enter__(self) -> Self:
        if self.folder is not None:
            with saving(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                for name in ("metrics.jsonl", "timings.jsonl"):
                    file = (self.folder / name).open("w", encoding="utf-8", newline="\n")
                    self._files.append(self._open.enter_context(file))
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def write(self, metrics: dict[str, Any], timings: dict[str, Any]) -> None:
        """A line for each file; None says nothing and is left out."""
        for file, values in zip(self._files, (metrics, timings)):
            with saving(Path(file.name)):
                file.write(json.dumps({n: v for n, v in values.items() if v is not None}, allow_nan=False) + "\n")
                file.flush()


@contextmanager
def saving(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"can't write {path}: {error.strerror or error}", error.errno) from error
