"""Saving whole or not at all: a file or a folder is written beside its place, forced to disk, then renamed.

Whatever goes wrong, and whenever the program is killed, the old content or the new can be read, never a
mixture. Not a lock: one process at a time may save to a path.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EFBIG, EINVAL, ENOTSUP
from pathlib import Path
from typing import TypeAlias

from microgpt_core.errors import StorageError
from microgpt_core.storage.manifest import verify_folder, write_manifest

Chunk: TypeAlias = bytes | bytearray | memoryview

SIBLING = re.compile(r"\.(?P<name>.+)\.(tmp|old)-(?P<pid>\d{1,9})")


def atomic_write(path: str | os.PathLike[str], data: Chunk | Iterable[Chunk]) -> None:
    """Makes `data`, or its chunks one after another, the content of the file `path`.

    Chunks are collected before the first is written, so give views of large ones. Raises StorageError.
    """
    path = Path(path)
    temporary = _sibling(path, "tmp")
    chunks = [data] if isinstance(data, Chunk) else list(data)
    try:
        with open(temporary, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _fsync(path.parent)
    except OSError as error:
        needed = sum(memoryview(chunk).nbytes for chunk in chunks)
        raise _explain(f"can't save {path} ({needed:,} bytes needed)", error) from error
    finally:
        with suppress(OSError):  # the first error is the one to report; remove_stale finds what stays behind
            _delete(temporary)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """`with atomic_folder(path) as folder:` fill `folder`; when the block ends without an exception, it becomes `path`.

    The manifest is written last. An older folder at `path` is replaced, and deleted only once the new one
    has been verified and is in its place. Raises StorageError.
    """
    path = Path(path)
    temporary = _sibling(path, "tmp")
    try:
        _settle(path, os.getpid())
        temporary.mkdir()
        yield temporary
        write_manifest(temporary)
        for item in [*temporary.rglob("*"), temporary]:
            _fsync(item)
        _install(temporary, path)
    except StorageError:  # an atomic_write in the block has said it all
        raise
    except OSError as error:
        needed = sum(item.stat().st_size for item in temporary.rglob("*") if item.is_file())
        raise _explain(f"can't save {path} (at least {needed:,} bytes needed)", error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # as in atomic_write


def remove_stale(parent: str | os.PathLike[str]) -> None:
    """Removes from `parent` what killed processes left there, and puts back a folder that one had just moved aside."""
    parent = Path(parent)
    try:
        for entry in list(parent.iterdir()):
            match = SIBLING.fullmatch(entry.name)
            if match and not _is_running(pid := int(match["pid"])):
                _settle(parent / match["name"], pid)
    except OSError as error:
        raise _explain(f"can't clean up {parent}", error) from error


def _sibling(path: Path, kind: str, pid: int | None = None) -> Path:
    """`tmp`: the new content, being written. `old`: the older folder, moved aside."""
    return path.with_name(f".{path.name}.{kind}-{pid or os.getpid()}")


def _install(temporary: Path, path: Path) -> None:
    aside = _sibling(path, "old")
    try:
        if path.is_dir():
            verify_folder(temporary)
            os.replace(path, aside)
        os.replace(temporary, path)
        _fsync(path.parent)
    except BaseException:
        if not temporary.exists():
            os.replace(path, temporary)
        if os.path.lexists(aside):
            os.replace(aside, path)
        raise
    _delete(aside)


def _settle(path: Path, pid: int) -> None:
    """Ends what process `pid` was doing to `path`: if it died between two renames, the older folder comes back."""
    temporary, aside = _sibling(path, "tmp", pid), _sibling(path, "old", pid)
    if os.path.lexists(aside) and not os.path.lexists(path):
        os.replace(aside, path)
    _delete(aside)
    _delete(temporary)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    """Forces a file, or a folder's list of names, to the disk, where the system can."""
    windows = os.name == "nt"  # which can't open folders, and flushes only what is open for writing
    if windows and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (EINVAL, ENOTSUP):  # some network file systems don't know fsync of a folder
            raise
    finally:
        os.close(descriptor)


def _explain(what: str, error: OSError) -> StorageError:
    limit = "Raise the limit on the size of files (ulimit -f)"
    advice = limit if error.errno == EFBIG else "Make room or check the permissions there"
    said = f"{what}: {error.strerror or error}. {advice}, then try again; what was saved before is still good"
    return StorageError(said, error.errno)


def _is_running(pid: int) -> bool:
    if sys.platform == "win32":  # where os.kill(pid, 0) would send Ctrl-C
        import ctypes

        synchronize, access_denied, timed_out = 0x00100000, 5, 0x102
        kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel32.OpenProcess(synchronize, False, pid)
        if not handle:
            return ctypes.get_last_error() == access_denied
        running: bool = kernel32.WaitForSingleObject(handle, 0) == timed_out
        kernel32.CloseHandle(handle)
        return running
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
