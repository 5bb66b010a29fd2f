"""Which files a `path` names: files, folders and globs, in an order that no file system decides."""

from glob import glob
from os.path import expanduser
from pathlib import Path

from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.text.files import near

Paths = str | list[str]
EVERY = "**/*"


def listed(path: Paths) -> list[str]:
    return path if isinstance(path, list) else [path]


def check_paths(path: Paths) -> None:
    """Raise ConfigurationError for a path that names nothing."""
    if not listed(path) or not all(listed(path)):
        raise ConfigurationError("path: it is empty; name a file, a folder or a glob such as data/**/*.txt")


def find_files(path: Paths, base: Path | None, pattern: str = EVERY) -> list[Path]:
    """The files, sorted by their full path, each once. Of a folder those that fit `pattern`, but no hidden ones.

    Raises DataError where there are none.
    """
    found = {file.resolve() for one in listed(path) for file in matching(one, base or Path(), pattern)}
    return sorted(found, key=Path.as_posix)


def matching(path: str, start: Path, pattern: str) -> list[Path]:
    place = start / expanduser(path)
    if place.is_file():
        return [place]
    root, wanted = (place, pattern) if place.is_dir() else (start, expanduser(path))
    files = [file for match in glob(wanted, root_dir=root, recursive=True) if (file := root / match).is_file()]
    if not files:
        what = f"is no file, no folder and no glob that matches a file{near(place)}"
        if place.is_dir():
            what = f"holds no file{'' if pattern == EVERY else f' {pattern}'}"
        raise DataError(f"{path}: {what} (looked in {root.resolve()})")
    return files
