"""The safetensors format: named arrays of numbers behind a JSON header. Reading can run no code.

The reader maps the file into memory and is strict: it refuses whatever the official library refuses, and
more (names that come twice, unknown keys, empty axes). Numbers are little-endian, as on every machine that
microgpt supports.
"""

import json
import os
from collections.abc import Iterator, Mapping
from math import isfinite, prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from reprlib import repr as short  # whatever a damaged header holds, the message stays short
from typing import Any, NamedTuple

from microgpt_core.components.buffer import ITEM_BYTES, Buffer, Shape, flat
from microgpt_core.errors import CheckpointError, NonFiniteError, ShapeError
from microgpt_core.storage.atomic import Chunk, atomic_write
from microgpt_core.storage.strict_json import parse_object

DTYPES = {"f": "F32", "d": "F64", "i": "I32", "H": "BF16", "B": "U8"}
FORMATS = {dtype: format for format, dtype in DTYPES.items()}
METADATA = "__metadata__"
HEADER_LIMIT = 100_000_000  # bytes; the official library's limit
MAX_AXES = 64  # a memoryview's limit


class Entry(NamedTuple):
    """What the header says of one tensor; `start` and `end` count bytes from the end of the header."""

    format: str
    shape: Shape
    start: int
    end: int


class SafeTensors(Mapping[str, Buffer]):
    """The tensors of one file by name: read-only buffers that look straight into its bytes."""

    def __init__(self, path: str | os.PathLike[str], data: memoryview) -> None:
        """`data` holds the whole file. Raises CheckpointError unless every byte is accounted for."""
        self.path = str(path)
        try:
            start = 8 + _header_bytes(data)
            self.metadata, entries = _parse_header(bytes(data[8:start]))
            _check_layout(entries, len(data) - start)
        except ValueError as error:
            advice = "Use an earlier checkpoint, or copy, download or convert the file again"
            raise CheckpointError(f"{self.path}: {error}. {advice}") from error
        body = data[start:].toreadonly()
        self._views: dict[str, Buffer] = {
            name: body[entry.start : entry.end].cast(entry.format, entry.shape)  # type: ignore[call-overload]
            for name, entry in entries.items()
        }

    def __getitem__(self, name: str) -> Buffer:
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def check_finite(self) -> None:
        """Raises NonFiniteError for the first tensor that holds an infinity or a NaN. Reads every number."""
        for name, x in self.items():
            if not _is_finite(x):
                raise NonFiniteError(f"{self.path}: tensor {name!r} holds infinity or NaN. Use an earlier checkpoint")

    def close(self) -> None:
        """Forgets the tensors. The file stays mapped while a buffer taken from here is still in use."""
        self._views.clear()

    def __enter__(self) -> "SafeTensors":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read_safetensors(path: str | os.PathLike[str]) -> SafeTensors:
    """Opens a file. Takes no memory for its numbers: the system reads them when they are looked at."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file. Check the path")
    try:
        with open(path, "rb") as file:
            mapping = mmap(file.fileno(), 0, access=ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: an empty file
        raise CheckpointError(f"{path}: can't be read: {error}. Check its size and permissions") from error
    return SafeTensors(path, memoryview(mapping))


def write_safetensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Buffer], metadata: Mapping[str, str] | None = None
) -> None:
    """Saves atomically, without a copy of the numbers. The same tensors in the same order give the same bytes.

    Numbers of eight bytes come first in the file and single bytes last, so that each is aligned to its size. Metadata
    always has `format: pt`, since transformers refuses a file without.
    """
    entries: dict[str, Any] = {}
    chunks: list[Chunk] = []
    end = 0
    for name in sorted(tensors, key=lambda name: -tensors[name].itemsize):
        x = tensors[name]
        _check_buffer(name, x)
        start, end = end, end + x.nbytes
        entries[name] = {"dtype": DTYPES[x.format], "shape": x.shape, "data_offsets": (start, end)}
        chunks.append(x)
    header = {METADATA: {**(metadata or {}), "format": "pt"}, **{name: entries[name] for name in tensors}}
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    try:
        _parse_header(text)  # a file that couldn't be read again is never written
    except ValueError as error:
        raise CheckpointError(f"{path}: can't be saved, the file would be unreadable: {error}") from error
    atomic_write(path, [len(text).to_bytes(8, "little"), text, *chunks])


def _check_buffer(name: str, x: Buffer) -> None:
    if x.format not in DTYPES or not x.c_contiguous or not x.nbytes:
        raise ShapeError(
            f"tensor {name!r} can't be saved: found format {x.format!r}, shape {x.shape}"
            f"{'' if x.c_contiguous else ', not contiguous'}; expected a contiguous buffer of a format among "
            f"{', '.join(DTYPES)} without an empty axis"
        )


def _header_bytes(data: memoryview) -> int:
    """The header's size, from the first 8 bytes."""
    if len(data) < 8:
        raise ValueError(f"the file has {len(data)} bytes; expected at least 8, the size of the header")
    size = int.from_bytes(data[:8], "little")
    limit = min(HEADER_LIMIT, len(data) - 8)
    if size > limit:
        raise ValueError(f"the header claims {size:,} bytes; expected at most {limit:,}, for a file of {len(data):,}")
    return size


def _parse_header(text: bytes) -> tuple[dict[str, str], dict[str, Entry]]:
    header = parse_object(text)
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"the metadata are {short(metadata)}; expected names with text")
    return metadata, {name: _entry(f"tensor {name[:100]!r}", value) for name, value in header.items()}


def _entry(tensor: str, value: Any) -> Entry:
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{tensor} is {short(value)}; expected dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in FORMATS:
        raise ValueError(f"{tensor} has dtype {short(dtype)}; expected one of {', '.join(FORMATS)}")
    if not _are_counts(shape) or len(shape) > MAX_AXES or 0 in shape:
        raise ValueError(f"{tensor} has shape {short(shape)}; expected at most {MAX_AXES} axes, each at least 1")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"{tensor} has data_offsets {short(offsets)}; expected two whole numbers")
    format, (start, end) = FORMATS[dtype], offsets
    if end - start != (size := prod(shape) * ITEM_BYTES[format]):
        raise ValueError(f"{tensor} has {end - start:,} bytes; expected {size:,} for {dtype} of shape {short(shape)}")
    return Entry(format, tuple(shape), start, end)


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)  # isinstance: True is an int too


def _is_finite(x: Buffer) -> bool:
    if x.format == "H":  # bfloat16: infinity and NaN have an exponent of ones
        return all(number & 0x7F80 != 0x7F80 for number in flat(x))
    return all(map(isfinite, flat(x)))


def _check_layout(entries: Mapping[str, Entry], size: int) -> None:
    """The tensors must cover all the file's `size` bytes, one right after the other."""
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].start):
        if entry.start != position:
            raise ValueError(f"tensor {name[:100]!r} begins at byte {entry.start:,}; expected {position:,}, no gaps")
        position = entry.end
    if position != size:
        raise ValueError(f"the file has {size:,} bytes of numbers; expected {position:,} from its header")
