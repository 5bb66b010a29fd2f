"""Shards on disk: a file is there in full or not at all, the index comes last, and a note says how far it has got."""

import json
import os
import sys
from array import array
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from microgpt_core.errors import DataError
from microgpt_core.storage.atomic import atomic_write
from microgpt_datasets.preparing.encoding import Piece
from microgpt_datasets.shards import FORMAT, INDEX, WIDTHS, holds

NOTE = "progress.json"  # there while the shards aren't whole


@dataclass
class Split:
    """What was written of a split, and what waits to be."""

    name: str
    done: dict[str, Any] = field(default_factory=lambda: {"shards": [], "documents": 0, "characters": 0})
    waiting: bytearray = field(default_factory=bytearray)
    documents: int = 0  # of those that wait
    characters: int = 0


class Writer:
    """Writes the shards of one key into a folder, or goes on with those that are there."""

    def __init__(self, folder: Path, key: str, width: int, shard_tokens: int) -> None:
        self.folder, self.key, self.width, self.shard_bytes = folder, key, width, shard_tokens * width
        folder.mkdir(parents=True, exist_ok=True)
        self.splits = self._resume()

    def _resume(self) -> dict[str, dict[str, Any]]:
        """What an earlier process has finished of the same. What it was in the middle of is begun again."""
        for stale in self.folder.glob(".*.tmp-*"):
            stale.unlink()
        try:
            note = json.loads((self.folder / NOTE).read_text(encoding="utf-8"))
            splits: dict[str, dict[str, Any]] = note["splits"] if note["key"] == self.key else {}
            whole = all(self._is_whole(shard) for split in splits.values() for shard in split["shards"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # none, or a damaged one: everything is made again
        return splits if whole else {}

    def _is_whole(self, shard: dict[str, Any]) -> bool:
        file = self.folder / str(shard["file"])
        size = int(shard["tokens"]) * self.width
        return file.is_file() and file.stat().st_size == size and holds(file, shard["sha256"])

    def split(self, name: str) -> Split:
        """A split as far as it has been written."""
        return Split(name, self.splits[name]) if name in self.splits else Split(name)

    def add(self, split: Split, piece: Piece) -> None:
        split.waiting += piece.ids
        split.documents += piece.documents
        split.characters += piece.characters
        if len(split.waiting) >= self.shard_bytes:
            self.flush(split)

    def flush(self, split: Split) -> None:
        """Write what waits as a shard, and note it: from here a later process can go on."""
        if split.waiting:
            name = f"{split.name}-{len(split.done['shards']):05}.bin"
            data = little_endian(split.waiting, self.width)
            atomic_write(self.folder / name, data)
            tokens, digest = len(data) // self.width, sha256(data).hexdigest()
            split.done["shards"].append({"file": name, "tokens": tokens, "sha256": digest})
        split.done["documents"] += split.documents
        split.done["characters"] += split.characters
        split.waiting, split.documents, split.characters = bytearray(), 0, 0
        self.splits[split.name] = split.done
        note = json.dumps({"key": self.key, "splits": self.splits}) + "\n"
        atomic_write(self.folder / NOTE, note.encode("utf-8"))

    def finish(self, about: dict[str, Any]) -> None:
        """Write the index, with which the folder is whole, and clear away what is no part of it."""
        if not self.splits["train"]["shards"]:
            raise DataError("there is no token to train on: every document is empty, or was left out")
        index = {"format": FORMAT, "width": self.width, "digest": self.key, "splits": self.splits, **about}
        atomic_write(self.folder / INDEX, (json.dumps(index, indent=2) + "\n").encode("utf-8"))
        (self.folder / NOTE).unlink()
        named = {shard["file"] for split in self.splits.values() for shard in split["shards"]}
        for file in self.folder.glob("*-[0-9][0-9][0-9][0-9][0-9].bin"):  # of an earlier text that was longer
            if file.name not in named:
                file.unlink()


def little_endian(ids: bytearray, width: int) -> bytes:
    """The ids with the lowest byte first, whatever this machine has."""
    if sys.byteorder == "little":
        return bytes(ids)
    swapped = array(WIDTHS[width], bytes(ids))
    swapped.byteswap()
    return swapped.tobytes()


def usable_cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
