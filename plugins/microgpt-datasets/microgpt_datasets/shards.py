"""The dataset `shards`: ids in files, as `microgpt data prepare` writes them, read a window at a time.

A shard is nothing but numbers, two or four bytes each, the lowest byte first. `shards.json` beside them says how many
there are; it is written last, so a folder without it isn't whole.
"""

import json
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from itertools import accumulate
from mmap import ACCESS_READ, ALLOCATIONGRANULARITY, mmap
from operator import index as as_integer
from os.path import expanduser
from pathlib import Path
from typing import Any, ClassVar, overload

from microgpt_core.components import Dataset
from microgpt_core.components.text import Split
from microgpt_core.errors import ConfigurationError, DataError, UnknownNameError
from microgpt_core.storage.lock import LOCK
from microgpt_core.text.split import SPLITS

INDEX = "shards.json"
FORMAT = 1
AGAIN = "prepare them again: microgpt data prepare"
WIDTHS = {2: "H", 4: "I"}  # bytes of an id -> its array


class MappedIds(Sequence[int]):
    """The ids of several files in a row.

    A slice maps the stretch that it needs, and lets go of it: a map of whole files would count every page that was ever
    touched as resident memory, up to all of them. An id that isn't below `vocab_size` is damage, which nobody looks for
    before: opening shards reads none of them.
    """

    def __init__(self, files: Sequence[Path], counts: Sequence[int], width: int, vocab_size: int = 1 << 32) -> None:
        self.files, self.width, self.vocab_size = files, width, vocab_size
        self.ends = list(accumulate(counts))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    @overload
    def __getitem__(self, i: int) -> int: ...
    @overload
    def __getitem__(self, i: slice) -> "array[int]": ...
    def __getitem__(self, i: int | slice) -> "int | array[int]":
        if isinstance(i, int):
            i = range(len(self))[i]
            return self[i : i + 1][0]
        start, stop, step = i.indices(len(self))
        found = array(WIDTHS[self.width])
        for which in range(bisect_right(self.ends, start), len(self.ends)):
            begin = self.ends[which - 1] if which else 0
            if begin >= stop:
                break
            piece = array(found.typecode)
            piece.frombytes(self._bytes(self.files[which], max(start - begin, 0), min(stop, self.ends[which]) - begin))
            if sys.byteorder == "big":
                piece.byteswap()
            if (largest := max(piece, default=0)) >= self.vocab_size:
                what = f"holds the id {largest:,}, allowed: 0 to {self.vocab_size - 1:,}; it is damaged"
                raise DataError(f"{self.files[which]}: {what}, {AGAIN}")
            found += piece
        return found[::step] if step != 1 else found

    def _bytes(self, file: Path, start: int, stop: int) -> bytes:
        """The bytes of ids of one file."""
        first, last = start * self.width, stop * self.width
        offset = first // ALLOCATIONGRANULARITY * ALLOCATIONGRANULARITY
        try:
            with (
                open(file, "rb") as opened,
                mmap(opened.fileno(), last - offset, access=ACCESS_READ, offset=offset) as ids,
            ):
                return ids[first - offset : last - offset]
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: can't be read any more ({error}); prepare the shards again") from None


@dataclass
class Shards(Dataset):
    """Text that is numbers already, of any size: `microgpt data prepare` makes a folder of it.

    It comes with the tokenizer that made it, which the pipeline then takes. Batches are random windows.

    Fields:
        path: the folder
    """

    name: ClassVar[str] = "shards"
    separate: ClassVar[bool] = False

    path: str

    def __post_init__(self) -> None:
        if not self.path:
            raise ConfigurationError("path: it is empty; name the folder that microgpt data prepare made")

    @property
    def folder(self) -> Path:
        return (self.base or Path()) / expanduser(self.path)

    @cached_property
    def index(self) -> dict[str, Any]:
        """What `shards.json` says. Raises DataError for a folder that isn't whole, or isn't one of shards."""
        return read_index(self.folder)

    def documents(self, split: Split) -> Iterator[str]:
        """There are none any more, which a mix or a stream has to be told."""
        what = "it is numbers already, which can't be mixed, streamed or transformed"
        raise DataError(f"{self.path}: {what}; mix the texts instead, and prepare the mix: microgpt data prepare")

    def tokens(self, split: Split) -> MappedIds:
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        shards = self.index["splits"][split]["shards"]
        files, counts = [self.folder / each["file"] for each in shards], [each["tokens"] for each in shards]
        return MappedIds(files, counts, self.index["width"], limit(self.index))

    def tokenizer(self) -> Path:
        _ = self.index
        return self.folder

    def digest(self) -> str:
        return str(self.index["digest"])


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a folder of shards, whose files are there in full. Raises DataError."""
    path = folder / INDEX
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if index["format"] != FORMAT or index["width"] not in WIDTHS:
            raise DataError(f"{path}: format {index['format']!r}, this version reads {FORMAT}; {AGAIN}")
        _ = limit(index)
        for split in SPLITS:
            for shard in index["splits"][split]["shards"]:
                check_shard(folder, shard, index["width"])
    except FileNotFoundError:
        said = "make shards of a text with microgpt data prepare"
        if [*folder.glob("*.bin"), *folder.glob(LOCK)]:
            said = "these shards were begun and not finished: the same microgpt data prepare goes on with them"
        raise DataError(f"{folder}: there is no {INDEX}; {said}") from None
    except (
        OSError,
        KeyError,
        TypeError,
        AttributeError,
        UnicodeDecodeError,
        json.JSONDecodeError,
        RecursionError,
    ) as error:
        raise DataError(f"{path}: it is damaged ({type(error).__name__}: {error}); {AGAIN}") from None
    return index


def limit(index: dict[str, Any]) -> int:
    """All ids are below it."""
    return as_integer(index.get("tokenizer", {}).get("vocab_size", 1 << 32))


def check_shard(folder: Path, shard: dict[str, Any], width: int) -> None:
    """Raise DataError where a shard isn't there, or isn't as long as it was."""
    file, expected = folder / shard["file"], shard["tokens"] * width
    if Path(shard["file"]).name != shard["file"]:
        raise DataError(f"{folder / INDEX}: {shard['file']!r} is no file of this folder; {AGAIN}")
    found = file.stat().st_size if file.is_file() else None
    if found != expected:
        what = "isn't there" if found is None else f"has {found:,} bytes instead of {expected:,}"
        raise DataError(f"{file} {what}; {AGAIN}")


def verify(folder: Path) -> dict[str, Any]:
    """The index of a folder whose shards hold what was written, to the bit. Raises DataError naming those that don't.

    It reads every byte, which opening them doesn't.
    """
    index = read_index(folder)
    shards = [shard for split in SPLITS for shard in index["splits"][split]["shards"]]
    damaged = [shard["file"] for shard in shards if not holds(folder / shard["file"], shard.get("sha256"))]
    if damaged:
        what = f"isn't what was written (SHA-256), of {len(shards)} shards {len(damaged)}"
        raise DataError(f"{', '.join(str(folder / name) for name in damaged)}: {what}; {AGAIN}")
    return index


def holds(file: Path, expected: object) -> bool:
    """Whether a file's SHA-256 is the expected one. Raises DataError where it can't be read."""
    try:
        with open(file, "rb") as opened:
            return file_digest(opened, "sha256").hexdigest() == expected
    except OSError as error:
        raise DataError(f"{file}: can't be read ({error.strerror or error}); {AGAIN}") from None
