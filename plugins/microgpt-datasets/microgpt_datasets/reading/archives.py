"""What is in a compressed file or an archive, as streams: nothing is ever written, so nothing can land elsewhere.

An archive that holds anything but plain files with plain names, or more than allowed, is refused as a whole: somebody
made it so on purpose, and the rest of it isn't to be trusted either.
"""

import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Self

import zstandard

from microgpt_core.errors import DataError

MOST_ENTRIES = 100_000
MOST_BYTES = 1 << 36  # of all that comes out of one file: 64 GiB; what is meant to fill a disk is more
LONGEST_HEADER = 1 << 20  # of names and the like
HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.zst")
COMPRESSED = (".gz", ".tgz", ".zst")
DRIVE = re.compile(r"[A-Za-z]:")
DAMAGE = (
    OSError, EOFError, ValueError, OverflowError, NotImplementedError, RuntimeError,
    struct.error, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zstandard.ZstdError,
)  # fmt: skip


class Bounded(io.RawIOBase):
    """A stream that ends in an error where more comes out of it than allowed."""

    def __init__(self, stream: IO[bytes], allowance: list[int], name: str) -> None:
        self.stream, self.allowance, self.name = stream, allowance, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with blaming(self.name):
            read = self.stream.read(len(buffer))
        buffer[: len(read)] = read
        self.allowance[0] -= len(read)
        if self.allowance[0] < 0:
            raise DataError(
                f"{self.name}: more than {MOST_BYTES:,} bytes come out of it; unpack it and look what it is"
            )
        return len(read)


def streams(file: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The texts in a file with their names: of an archive its members, of any other file its content, decompressed.

    Each is to be read before the next is asked for. Raises DataError for a file that can't be read, or is refused.
    """
    allowance = [MOST_BYTES]  # for all members together
    with blaming(file), ExitStack() as opened:
        members = archive_members(file, opened)
        if members is None:
            content = opened.enter_context(decompressed(file))
            plain = file.suffix.lower() not in COMPRESSED
            yield str(file), content if plain else bounded(content, allowance, file)
            return
        seen = set[str]()
        for name, stream in members:
            seen.add(name)
            if len(seen) > MOST_ENTRIES:
                raise DataError(f"{file}: more than {MOST_ENTRIES:,} entries; unpack it and look what it is")
            if stream is not None:
                yield f"{file}/{name.removeprefix('./')}", bounded(stream, allowance, file)


def bounded(stream: IO[bytes], allowance: list[int], file: Path) -> IO[bytes]:
    return io.BufferedReader(Bounded(stream, allowance, str(file)), 1 << 16)


@contextmanager
def blaming(file: Path | str) -> Iterator[None]:
    """Whatever a damaged file makes the standard library say is a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file") from None
    except DAMAGE as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{file}: can't be read ({said}); it is damaged, or not what its name says") from error


@contextmanager
def decompressed(file: Path) -> Iterator[IO[bytes]]:
    """A file's bytes: those that were compressed, where its name ends in .gz or .zst."""
    with open(file, "rb") as raw:
        if file.suffix.lower() in (".gz", ".tgz"):
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream  # type: ignore[misc]
        elif file.suffix.lower() == ".zst":
            with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
                yield stream
        else:
            yield raw


class Header(tarfile.TarInfo):
    """What stands before a member of a tar. The standard library holds all of it in memory, however long it is."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type in HEADERS and header.size > LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes, allowed: {LONGEST_HEADER:,}")
        return header

    def _proc_sparse(self, *told: object) -> Self:
        raise tarfile.ReadError("a file with holes, whose list of them has no bounds")

    _proc_gnusparse_10 = _proc_sparse


Members = Iterator[tuple[str, IO[bytes] | None]]  # None: a folder


def archive_members(file: Path, opened: ExitStack) -> Members | None:
    """The members of an archive in its own order, each checked before it is opened; None for a file that is none."""
    name = file.name.lower()
    if not name.endswith(ARCHIVES):
        return None
    if name.endswith(".zip"):
        return zip_members(opened.enter_context(zipfile.ZipFile(file)), str(file))
    stream = opened.enter_context(decompressed(file))
    whole = bounded(stream, [2 * MOST_BYTES], file)  # headers and padding too
    return tar_members(opened.enter_context(tarfile.open(fileobj=whole, mode="r|", tarinfo=Header)), str(file))


def zip_members(archive: zipfile.ZipFile, file: str) -> Members:
    infos = archive.infolist()
    if len(infos) > MOST_ENTRIES:
        raise DataError(f"{file}: {len(infos):,} entries, allowed: {MOST_ENTRIES:,}; unpack it and look what it is")
    names = set[str]()
    for info in infos:  # all of them before the first is read
        kind = stat.S_IFMT(info.external_attr >> 16)
        check_member(file, info.orig_filename, names, kind in (0, stat.S_IFREG, stat.S_IFDIR))
        if info.flag_bits & 1:
            raise DataError(f"{file}: {info.filename!r} is encrypted; unpack it yourself")
    for info in infos:
        if info.is_dir():
            yield info.filename, None
            continue
        with archive.open(info) as stream:
            yield info.filename, stream


def tar_members(archive: tarfile.TarFile, file: str) -> Members:
    names = set[str]()
    for info in archive:
        plain = (info.isreg() and not info.issparse()) or info.isdir()
        check_member(file, info.name, names, plain)
        archive.members = []  # type: ignore[attr-defined]  # it would keep all that the stream has passed
        yield info.name, archive.extractfile(info) if info.isreg() else None


def check_member(file: str, name: str, names: set[str], plain: bool) -> None:
    """Raise DataError for what is no plain file or folder, or would lie outside the archive's own folder."""
    steps = name.replace("\\", "/").rstrip("/").split("/")
    wrong = ""
    if not plain:
        wrong = "is a link, a device or another thing that is no plain file"
    elif name.startswith(("/", "\\", "~")) or DRIVE.match(name):
        wrong = "has an absolute path"
    elif ".." in steps:
        wrong = "has a path that leads outside"
    elif "\0" in name or not (name.strip("./\\") or steps == ["."]):  # . is the archive's own folder
        wrong = "has a name that no file has"
    elif "/".join(steps) in names:
        wrong = "is in it twice"
    if wrong:
        raise DataError(f"{file}: {name!r} {wrong}; the archive is refused, unpack it yourself if you trust it")
    names.add("/".join(steps))


def is_hidden(name: str) -> bool:
    """Whether a member is one that file managers leave behind."""
    return any(step.startswith((".", "__MACOSX")) for step in name.split("/") if step != ".")
