"""A run's ledger, `stages.json`: what each finished stage was made of, and what came out of it.

A stage is made of the settings it depends on, the text, the code of every component, and the stages that it builds
on. All of that is one digest, its key; with the same key it would give the same bits again. A ledger that is damaged
says nothing: no stage counts as done.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from microgpt_core.errors import CheckpointError
from microgpt_core.pipeline.reading.settings import to_dict
from microgpt_core.pipeline.runs.backends import update_ops
from microgpt_core.pipeline.runs.code import code_digests, used_packs
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.pipeline.runs.run_folder import write
from microgpt_core.pipeline.stage import as_stage
from microgpt_core.saving.model_folder import TOKENIZER, WEIGHTS, read_json

LEDGER = "stages.json"
UNFINISHED = "isn't finished"
OF_ONE_STAGE = ("name", "plugins", "stages", "generate", "export", "microgpt")  # keys that not every stage depends on


def stage_keys(run: Run) -> dict[str, str]:
    """The key of each stage of a run."""
    stages = {name: as_stage(name, run.registry.get("stages", name)) for name in run.pipeline.stages}
    settings, data, keys = to_dict(run.pipeline), run.data_digest, dict[str, str]()
    _ = run.kernels, update_ops(run.pipeline, run.registry)  # so that the registry has been asked for all that is used
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


def decisive(keys: Mapping[str, str]) -> str:
    """The stage that makes a run this one and no other: `train`; the first one where nothing is trained."""
    return "train" if "train" in keys else next(iter(keys))


def start_digest(folder: str | None) -> str:
    """Of the weights that training begins with, and of their tokenizer."""
    return "" if folder is None else digest([file_sum(Path(folder) / name) for name in (WEIGHTS, TOKENIZER)])


def digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode("utf-8")).hexdigest()


def file_sum(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def is_entry(entry: Any) -> bool:
    """Whether a ledger would say this of a stage: what it is made of; when it is done, its result and its files too."""
    known = isinstance(entry, dict) and isinstance(entry.get("key"), str)
    return known and ("result" not in entry or isinstance(entry.get("files"), dict))


class Ledger:
    """The stages of the run in a folder: those that are to be run, and those that are done."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / LEDGER
        self.entries = dict[str, dict[str, Any]]()
        self.damage = ""  # why nothing is known of the stages, though there is a file
        try:
            entries = read_json(self.path) if self.path.is_file() else {}
        except CheckpointError as error:
            self.damage = str(error)
            return
        strange = [stage for stage, entry in entries.items() if not is_entry(entry)]
        if strange:
            self.damage = f"{self.path}: what it says of the stage {strange[0]!r} was written by no run"
        else:
            self.entries = entries

    def stale(self, stage: str, key: str) -> str:
        """Why a stage must be run, said of it; "" where it needn't."""
        entry = self.entries.get(stage, {})
        if "result" not in entry:
            return UNFINISHED
        if entry["key"] != key:
            return "was made of other settings, text, code or stages before it"
        if not entry["files"]:
            return "leaves no file to tell by"
        for name, expected in entry["files"].items():
            path = self.folder / name
            if not path.is_file() or file_sum(path) != expected:
                return f"wrote {name}, which has changed since"
        return ""

    def began(self, keys: Mapping[str, str]) -> bool:
        """Whether this folder was made for the run that has these stages."""
        stage = decisive(keys)
        made_of = self.entries.get(stage, {}).get("key")
        return made_of == keys[stage] and ("train" in keys) == ("train" in self.entries)

    def begin(self, keys: Mapping[str, str]) -> None:
        """Write down what the stages are made of that are to be run."""
        self.entries |= {stage: {"key": key} for stage, key in keys.items()}
        self._save()

    def start(self, stage: str, key: str) -> None:
        """Write down that a stage is being run, so that nobody takes it for done should it never be."""
        if self.entries.get(stage) != {"key": key}:
            self.begin({stage: key})

    def result(self, stage: str) -> Any:
        """What the stage returned when it was run; None where it isn't done."""
        return self.entries.get(stage, {}).get("result")

    def record(self, stage: str, key: str, result: Any, writes: Iterable[str]) -> None:
        """Write down that a stage is done."""
        paths = [path for name in writes for path in (sorted((self.folder / name).rglob("*")) or [self.folder / name])]
        files = {path.relative_to(self.folder).as_posix(): file_sum(path) for path in paths if path.is_file()}
        self.entries[stage] = {"key": key, "result": result, "files": files}
        self._save()

    def _save(self) -> None:
        write(self.path, json.dumps(self.entries, indent=2) + "\n")
