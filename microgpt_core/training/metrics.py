"""What a run writes down at each step: `metrics.jsonl`, always the same, and `timings.jsonl`, never."""

import json
from pathlib import Path
from typing import Any, TextIO


class MetricsLog:
    """Two files of a JSON object per line, flushed at each step."""

    def __init__(self, folder: Path) -> None:
        self._metrics = open_log(folder / "metrics.jsonl")
        self._timings = open_log(folder / "timings.jsonl")

    def write(self, metrics: dict[str, Any], timings: dict[str, Any]) -> None:
        for file, values in ((self._metrics, metrics), (self._timings, timings)):
            file.write(json.dumps({n: v for n, v in values.items() if v is not None}) + "\n")
            file.flush()

    def close(self) -> None:
        self._metrics.close()
        self._timings.close()


def open_log(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="\n")
