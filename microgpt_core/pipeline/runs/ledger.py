"""A run's ledger, `stages.json`: what each finished stage was made of, and what came out of it.

A stage is made of the settings it depends on, the text, the code of every component, and the stages that it builds
on. All of that is one digest, its key; with the same key it would give the same bits again.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from microgpt_core.pipeline.reading.settings import to_dict
from microgpt_core.pipeline.runs.backends import update_op
from microgpt_core.pipeline.runs.code import code_digests, used_packs
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.pipeline.runs.run_folder import write
from microgpt_core.pipeline.stage import as_stage
from microgpt_core.saving.model_folder import read_json

LEDGER = "stages.json"
OF_ONE_STAGE = ("name", "plugins", "stages", "generate", "export", "microgpt")  # keys that not every stage depends on


def stage_keys(run: Run) -> dict[str, str]:
    """The key of each stage of a run."""
    stages = {name: as_stage(name, run.registry.get("stages", name)) for name in run.pipeline.stages}
    settings, data, keys = to_dict(run.pipeline), run.data_digest, dict[str, str]()
    _ = run.kernels, update_op(run.pipeline, run.registry)  # so that the registry has been asked for all that is used
    shared = {
        "settings": {name: value for name, value in settings.items() if name not in OF_ONE_STAGE},
        "data": data,
        "start": start_digest(run.pipeline.init_from),
        "code": code_digests(used_packs(run)),
        "python": f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}",
    }
    for name, stage in stages.items():
        own = {key: settings.get(key) for key in stage.reads}
        keys[name] = digest([name, shared, own, [keys[before] for before in stage.after if before in keys]])
    return keys


def start_digest(folder: str | None) -> str:
    """Of the weights that training begins with."""
    return "" if folder is None else file_sum(Path(folder) / "model.safetensors")


def digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode("utf-8")).hexdigest()


def file_sum(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


class Ledger:
    """The finished stages of the run in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path, self._entries = folder / LEDGER, dict[str, Any]()
        if self.path.is_file():
            self._entries = read_json(self.path)

    def stale(self, stage: str, key: str) -> str:
        """Why a stage must be run; "" where it needn't."""
        entry = self._entries.get(stage)
        if not isinstance(entry, dict) or "result" not in entry:
            return "it hasn't been finished yet"
        if entry["key"] != key:
            return "what it is made of has changed"
        if not entry["files"]:
            return "it leaves no file to tell by"
        for name, expected in entry["files"].items():
            path = self.path.parent / name
            if not path.is_file() or file_sum(path) != expected:
                return f"{name} has changed since"
        return ""

    def began(self, keys: Mapping[str, str]) -> bool:
        """Whether this folder was made for a run with this first stage."""
        first = next(iter(keys), "")
        return first in self._entries and self._entries[first]["key"] == keys[first]

    def begin(self, keys: Mapping[str, str]) -> None:
        """Write down what the stages are made of that are to be run."""
        self._entries = {stage: {"key": key} for stage, key in keys.items()}
        self._save()

    def result(self, stage: str) -> Any:
        """What the stage returned when it was run."""
        return self._entries[stage]["result"]

    def record(self, stage: str, key: str, result: Any, writes: Iterable[str]) -> None:
        """Write down that a stage is done."""
        folder = self.path.parent
        paths = [path for name in writes for path in (sorted((folder / name).rglob("*")) or [folder / name])]
        files = {path.relative_to(folder).as_posix(): file_sum(path) for path in paths if path.is_file()}
        self._entries[stage] = {"key": key, "result": result, "files": files}
        self._save()

    def forget(self, stages: Iterable[str]) -> None:
        """These are to be run again."""
        for stage in stages:
            self._entries.pop(stage, None)
        self._save()

    def _save(self) -> None:
        write(self.path, json.dumps(self._entries, indent=2) + "\n")
