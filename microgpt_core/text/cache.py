"""The dataset cache: well-known texts that are fetched or added once, and only ever with the right checksum.

Nothing here opens a connection except `get`, which is what `microgpt data get` calls.
"""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

from microgpt_core.errors import DataError, DoesNotFitError, UnknownNameError

CHUNK = 1 << 16
Progress = Callable[[int, int], None]  # bytes so far, bytes in all


@dataclass(frozen=True)
class Entry:
    """A data set that the catalogue knows: where it comes from, and how to tell that it is the right one."""

    name: str
    about: str
    source: str
    licence: str
    url: str
    size: int  # bytes
    sha256: str
    suffix: str = ".txt"

    @property
    def path(self) -> Path:
        """Where the cache keeps it, whether or not it is there."""
        return cache_folder() / "data" / f"{self.name}{self.suffix}"


def catalogue() -> dict[str, Entry]:
    """Every data set that can be fetched or added, by name."""
    text = files("microgpt_core.text").joinpath("catalogue.json").read_text(encoding="utf-8")
    return {name: Entry(name, **fields) for name, fields in json.loads(text).items()}


def entry(name: str | Entry, known: Mapping[str, Entry] | None = None) -> Entry:
    """The entry of this name, among those of packs too where they are `known`. Raises UnknownNameError."""
    if isinstance(name, Entry):
        return name
    known = known or catalogue()
    if name not in known:
        raise UnknownNameError("data set", name, known, "To train on a file of your own, use the dataset `text`")
    return known[name]


def cache_folder() -> Path:
    """`MICROGPT_CACHE`, else `microgpt` in the XDG cache folder or what the platform has in its place."""
    if chosen := os.environ.get("MICROGPT_CACHE"):
        return Path(chosen).expanduser().absolute()
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen).expanduser().absolute() / "microgpt"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "microgpt" / "cache"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "microgpt"


def cached(name: str | Entry, verify: bool = False) -> Path | None:
    """The data set's file, or None where it isn't in the cache or isn't whole; `verify` checks its SHA-256 too."""
    data = entry(name)
    if not data.path.is_file() or data.path.stat().st_size != data.size:
        return None
    if verify:
        with open(data.path, "rb") as file:
            if file_digest(file, "sha256").hexdigest() != data.sha256:
                return None
    return data.path


def add(name: str | Entry, file: str | Path) -> Path:
    """Copy `file` into the cache. Raises DataError where it isn't the file that the catalogue describes."""
    return store(entry(name), chunks(file), str(file))


def get(name: str | Entry, progress: Progress | None = None) -> Path:
    """The data set's file, fetched if it isn't in the cache yet. Raises DataError where that fails."""
    if file := cached(name, verify=True):
        return file
    from microgpt_core.text.download import fetch  # slow to import, and seldom wanted

    data = entry(name)
    instead = f"where there is no network, bring the file and run: microgpt data add {data.name} FILE"
    return store(data, fetch(data.url, instead), data.url, progress)


def store(data: Entry, pieces: Iterable[bytes], origin: str, progress: Progress | None = None) -> Path:
    """Write the pieces into the cache, where they appear whole and right or not at all."""
    folder = data.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(data.path, checked(data, pieces, origin, progress))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            advice = "free some, or set MICROGPT_CACHE to a folder on another disk"
            raise DoesNotFitError(f"{folder}: no room for the {data.size:,} bytes of {data.name}; {advice}") from None
        reason = error.strerror or str(error)
        raise DataError(f"{folder}: can't be written ({reason}); set MICROGPT_CACHE to a folder that can") from None
    return data.path


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file that is seen with all of the pieces or not at all, also where their iterator raises."""
    partial = path.with_name(f"{path.name}.{uuid4().hex}.partial")
    try:
        with open(partial, "xb") as out:
            out.writelines(pieces)
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def checked(data: Entry, pieces: Iterable[bytes], origin: str, progress: Progress | None) -> Iterator[bytes]:
    """The pieces; raises DataError at once where they are too many, at the end where they are wrong."""
    digest, size = sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if size > data.size:
            raise DataError(f"{origin}: not {data.name}: longer than its {data.size:,} bytes; nothing was stored")
        yield piece
        if progress:
            progress(size, data.size)
    if digest.hexdigest() != data.sha256:
        raise DataError(
            f"{origin}: not {data.name}: {size:,} bytes with SHA-256 {digest.hexdigest()}, "
            f"expected {data.size:,} bytes with SHA-256 {data.sha256}; nothing was stored"
        )


def chunks(file: str | Path) -> Iterator[bytes]:
    """A file in pieces that fit in memory. Raises DataError where it can't be read."""
    try:
        with open(file, "rb") as source:
            yield from iter(lambda: source.read(CHUNK), b"")
    except OSError as error:
        raise DataError(f"{file}: can't be read ({error.strerror or error})") from None
