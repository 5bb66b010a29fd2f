"""A lock on a folder: one process at a time works in it. The system lets go of it when that process ends, however."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from microgpt_core.errors import StorageError

LOCK = ".lock"
TAKEN = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else is in this block with the same folder. Raises StorageError where somebody is.

    On a file system without locks there is none.
    """
    with (folder / LOCK).open("ab") as file:
        try:
            lock(file.fileno())
        except OSError as error:
            if error.errno in TAKEN:
                what = f"another process is at work in {folder}; wait until it is done, or stop it"
                raise StorageError(what, error.errno) from error
        yield


def lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
