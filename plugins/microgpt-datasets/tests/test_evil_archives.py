"""Fifty archives that somebody made on purpose: each is refused, and nothing is written outside, or anywhere."""

import gzip
import io
import os
import random
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from microgpt_core.errors import DataError
from microgpt_datasets.files import Files
from microgpt_datasets.reading import archives

OUTSIDE = [
    "../evil.txt", "../../evil.txt", "a/../../evil.txt", "a/b/../../../evil.txt", "/tmp/evil.txt", "/evil.txt",
    "..", "a/..", "\\evil.txt", "..\\evil.txt", "a\\..\\..\\evil.txt", "C:\\evil.txt", "C:evil.txt", "c:/evil.txt",
    "~/evil.txt", "//evil.txt",
]  # fmt: skip
TAR_KINDS = {
    "a symbolic link": tarfile.SYMTYPE, "a hard link": tarfile.LNKTYPE, "a character device": tarfile.CHRTYPE,
    "a block device": tarfile.BLKTYPE, "a pipe": tarfile.FIFOTYPE, "a continuous file": b"Z",
}  # fmt: skip
ZIP_KINDS = {"a symbolic link": stat.S_IFLNK, "a device": stat.S_IFCHR, "a disk": stat.S_IFBLK, "a pipe": stat.S_IFIFO,
             "a socket": stat.S_IFSOCK}  # fmt: skip


def tar(members: list[tuple[str, bytes, str]], mode: str = "w", size: int = 10) -> bytes:
    """An archive of members: name, kind, what a link leads to."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            data = (b"evil text\n" * size)[:size] if kind == tarfile.REGTYPE else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def zip_of(members: list[tuple[str, int, bytes]]) -> bytes:
    """An archive of members: name, kind, content."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, kind, data in members:
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is: the constructor would change it
            info.external_attr = (kind | 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return made.getvalue()


def encrypted() -> bytes:
    data = bytearray(zip_of([("a.txt", stat.S_IFREG, b"text")]))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def lying() -> bytes:
    """A zip whose directory says less than there is."""
    data = bytearray(zip_of([("a.txt", stat.S_IFREG, b"x" * 5000)]))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 10)
    return bytes(data)


def evil() -> Iterator[tuple[str, str, bytes]]:
    """(what is evil about it, file name, content)."""
    for name in OUTSIDE:
        yield f"tar: {name}", "t.tar", tar([("good.txt", tarfile.REGTYPE, ""), (name, tarfile.REGTYPE, "")])
        yield f"zip: {name}", "t.zip", zip_of([("good.txt", stat.S_IFREG, b"a"), (name, stat.S_IFREG, b"evil")])
    for what, kind in TAR_KINDS.items():
        if what != "a continuous file":
            yield (
                f"tar: {what}",
                "t.tar",
                tar([("link", kind, "../../outside"), ("link/evil.txt", tarfile.REGTYPE, "")]),
            )
    for what, zip_kind in ZIP_KINDS.items():
        yield (
            f"zip: {what}",
            "t.zip",
            zip_of([("link", zip_kind, b"../outside"), ("link/evil.txt", stat.S_IFREG, b"a")]),
        )
    yield "tar: a link to itself", "t.tar", tar([("a", tarfile.SYMTYPE, "a")])
    yield "tar: twice", "t.tar", tar([("a.txt", tarfile.REGTYPE, ""), ("a.txt", tarfile.REGTYPE, "")])
    yield "zip: encrypted", "t.zip", encrypted()
    yield "zip: more than it says", "t.zip", lying()
    yield "zip: too many entries", "t.zip", zip_of([(f"{i}.txt", stat.S_IFREG, b"a") for i in range(200)])
    yield "tar: too many entries", "t.tar", tar([(f"{i}.txt", tarfile.REGTYPE, "") for i in range(200)])
    yield "tar: too many folders", "t.tar", tar([(f"{i}", tarfile.DIRTYPE, "") for i in range(200)])
    yield "zip: too many bytes", "t.zip", zip_of([("a.txt", stat.S_IFREG, b"x" * 3_000_000)])
    yield "zip: too many bytes in all", "t.zip", zip_of([(f"{i}.txt", stat.S_IFREG, b"x" * 300_000) for i in range(9)])
    yield "zst: too many bytes", "t.txt.zst", zstandard.compress(b"x" * 3_000_000)
    yield (
        "tar.zst: too many bytes",
        "t.tar.zst",
        zstandard.compress(tar([("a", tarfile.REGTYPE, "")], size=3_000_000)),
    )
    yield "tar: cut short", "t.tar", tar([("a.txt", tarfile.REGTYPE, "")])[:515]
    yield "zip: cut short", "t.zip", zip_of([("a.txt", stat.S_IFREG, b"a" * 500)])[:-30]


def headed(kind: bytes, n: int) -> bytes:
    """A tar whose first member has `n` bytes of names before it, as extended headers have."""
    info = tarfile.TarInfo("a.txt")
    info.type, info.size = kind, n
    return info.tobuf(tarfile.USTAR_FORMAT) + bytes(n + -n % 512) + tar([("a.txt", tarfile.REGTYPE, "")])


def with_holes() -> bytes:
    """A tar of a file with holes, as version 1.0 of that format has it: the list of them comes before the content."""
    info = tarfile.TarInfo("a.txt")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1"}
    holes = b"900000000\n" + b"1\n" * (1 << 20)
    info.size = len(holes)
    return info.tobuf(tarfile.PAX_FORMAT) + holes


HEADS = {kind: headed(kind, 1 << 23) for kind in (b"x", b"g", b"X", b"L", b"K")}
EVIL = list(evil())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that an archive of a test can be beyond."""
    monkeypatch.setattr(archives, "MOST_ENTRIES", 100)
    monkeypatch.setattr(archives, "MOST_BYTES", 2_000_000)


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def read(path: Path) -> list[str]:
    return [text for split in ("train", "validation") for text in Files(str(path), document="line").documents(split)]


def harmed(path: Path, reader: Callable[[Path], object]) -> bool:
    """Whether reading an archive leaves anything in the folders around it, or isn't refused."""
    around = path.parents[2]
    before = below(around)
    try:
        reader(path)
    except DataError as error:
        return below(around) != before or str(path) not in str(error)
    return True


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("name", "data"), [pytest.param(name, data, id=what) for what, name, data in EVIL])
def test_an_evil_archive_is_refused_and_nothing_is_written(name: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    assert not harmed(path, read)


def test_there_are_fifty_of_them() -> None:
    assert len({what for what, _, _ in EVIL}) == len(EVIL) >= 50


@pytest.mark.skipif(os.name == "nt", reason="its paths mean something else there")
def test_the_check_sees_a_reader_that_unpacks(tmp_path: Path) -> None:
    """The positive control: what the standard library does when it trusts an archive is found by the same check."""
    path = tmp_path / "a" / "b" / "t.tar"
    path.parent.mkdir(parents=True)
    path.write_bytes(tar([("../evil.txt", tarfile.REGTYPE, "")]))

    def unpack(path: Path) -> None:
        with tarfile.open(path) as archive:
            archive.extractall(path.parent, filter="fully_trusted")  # noqa: S202 - that is the bug

    assert harmed(path, unpack)
    assert (tmp_path / "a" / "evil.txt").is_file()


@pytest.mark.usefixtures("small")
def test_a_reader_that_checks_nothing_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other control: without the check of names, most of the fifty are read as if they were good."""
    monkeypatch.setattr(archives, "check_member", lambda *told: None)
    path = tmp_path / "a" / "b" / "t.tar"
    path.parent.mkdir(parents=True)
    let_in = 0
    for _, name, data in EVIL:
        (path.parent / name).write_bytes(data)
        let_in += harmed(path.parent / name, read)
    assert let_in >= 30


def peak_of(read: Callable[[], object]) -> int:
    """The bytes of Python that reading a damaged or evil archive takes at most."""
    tracemalloc.start()
    try:
        with pytest.raises((DataError, tarfile.TarError, ValueError)):
            read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [*HEADS.values(), with_holes()], ids=[*map(repr, HEADS), "holes"])
def test_a_header_takes_no_memory_worth_speaking_of(data: bytes, put: Any) -> None:
    path = put("t.tgz", gzip.compress(data, 1))
    assert peak_of(lambda: read(path)) < 2_000_000


@pytest.mark.parametrize("kind", [b"x", b"L"])
def test_a_header_that_is_held_in_memory_is_found(kind: bytes, put: Any) -> None:
    """The control: the standard library by itself."""
    path = put("t.tgz", gzip.compress(HEADS[kind], 1))

    def trusting() -> None:
        with tarfile.open(path, "r|gz") as archive:
            raise ValueError(archive.getnames())

    assert peak_of(trusting) > 8_000_000


@pytest.mark.parametrize("name", ["t.zip", "t.tar", "t.tar.zst", "t.gz", "t.tgz"])
def test_bytes_of_any_kind_are_refused_by_their_name(name: str, tmp_path: Path) -> None:
    """Good archives with bytes changed: read, or refused with a DataError, and nothing else."""
    rng, path = random.Random(name), tmp_path / name
    good = {"t.zip": zip_of([("a.txt", stat.S_IFREG, b"text " * 200)]), "t.tar": tar([("a.txt", tarfile.REGTYPE, "")])}
    good |= {"t.tgz": tar([("a.txt", tarfile.REGTYPE, "")], "w:gz"), "t.tar.zst": zstandard.compress(good["t.tar"])}
    good["t.gz"] = gzip.compress(b"text " * 300)
    refused = 0
    for _ in range(150):
        data = bytearray(good[name])
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data[: rng.randint(1, len(data))] if rng.random() < 0.3 else data)
        try:
            read(path)
        except DataError:
            refused += 1
    assert refused > 30
