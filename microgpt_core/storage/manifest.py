"""The manifest of a saved folder: size and SHA-256 of every file in it, so that damage is found and named.

It guards against accidents, not against somebody who rewrites the manifest too. Files that it doesn't
list are ignored, since desktops leave some of their own in every folder they show.
"""

import json
from hashlib import file_digest
from os import PathLike
from pathlib import Path
from reprlib import repr as short  # a damaged manifest mustn't make a message of a megabyte
from typing import Any

from microgpt_core.errors import CheckpointError
from microgpt_core.storage.strict_json import parse_object

MANIFEST = "manifest.json"
VERSION = 1
MANIFEST_LIMIT = 16_000_000  # bytes: room for 100,000 files


def write_manifest(folder: str | PathLike[str]) -> None:
    """Writes `manifest.json` for the files that `folder` holds now; `atomic_folder` does so before it finishes."""
    folder = Path(folder)
    manifest = {"version": VERSION, "files": {name: _measure(path) for name, path in _files(folder).items()}}
    with open(folder / MANIFEST, "w", encoding="utf-8", newline="\n") as file:
        json.dump(manifest, file, indent=2)  # no newline at the end: losing any byte at all is damage


def verify_folder(folder: str | PathLike[str]) -> None:
    """Raises CheckpointError unless every file of the manifest is there with the size and sum that it states."""
    folder = Path(folder)
    try:
        found = _files(folder)
        for name, expected in _read_manifest(folder).items():
            if name not in found:
                raise ValueError(f"{name[:200]} is missing; expected {short(expected)}")
            _compare(name, _measure(found[name]), expected)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder}: {error}. Use an earlier checkpoint, or copy or save the folder again"
        ) from error


def _files(folder: Path) -> dict[str, Path]:
    """Name to path; only these paths are opened, so a manifest can't point outside the folder."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    files.pop(MANIFEST, None)
    return files


def _measure(path: Path) -> dict[str, int | str]:
    with open(path, "rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
        return {"size": file.tell(), "sha256": sha256}


def _compare(name: str, found: dict[str, int | str], expected: Any) -> None:
    for key, value in found.items():
        stated = expected.get(key) if isinstance(expected, dict) else expected
        if stated != value:
            raise ValueError(f"{name} is damaged: {key} {value}, expected {short(stated)}")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"{MANIFEST} is missing, so this folder was never saved whole")
    if (size := path.stat().st_size) > MANIFEST_LIMIT:
        raise ValueError(f"{MANIFEST} has {size:,} bytes, expected at most {MANIFEST_LIMIT:,}")
    try:
        manifest = parse_object(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{MANIFEST} is damaged: {error}") from error
    if manifest.get("version") != VERSION:
        raise ValueError(f"{MANIFEST} has version {short(manifest.get('version'))}, expected {VERSION}")
    if not isinstance(files := manifest.get("files"), dict):
        raise ValueError(f"{MANIFEST} is damaged: it has no table of files")
    return files
