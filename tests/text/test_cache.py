"""The dataset cache: the right bytes or none, and no connection before `get`."""

import errno
import io
import os
import socket
import sys
from contextlib import contextmanager
from email.message import Message
from hashlib import sha256
from pathlib import Path
from urllib import request
from urllib.error import HTTPError, URLError

import pytest

from microgpt_core.errors import DataError, DoesNotFitError, UnknownNameError
from microgpt_core.text import cache, download
from microgpt_core.text.cached import SsaNames, TinyShakespeare

TEXT = b"emma\nolivia\n" * 20_000  # several chunks
RIGHT = cache.Entry("ssa-names", "", "", "", "https://example.org/names.txt", len(TEXT), sha256(TEXT).hexdigest())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache, whose catalogue describes TEXT as ssa-names."""
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "catalogue", lambda: {"ssa-names": RIGHT, "tinyshakespeare": RIGHT})
    return tmp_path / "cache"


def files_in(folder):
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


@contextmanager
def serving(monkeypatch, answer):
    """https answers with `answer`: bytes, or an exception to raise. Collects what was asked for."""
    asked = []

    class Answer(request.BaseHandler):
        def https_open(self, req):
            asked.append(req.full_url)
            if isinstance(answer, Exception):
                raise answer
            response = io.BytesIO(answer)
            response.code, response.msg, response.info = 200, "OK", Message
            return response

    monkeypatch.setattr(request, "HTTPSHandler", Answer)
    yield asked


def test_the_catalogue():
    known = cache.catalogue()
    assert set(known) == {"ssa-names", "tinyshakespeare"}
    for name, entry in known.items():
        assert (entry.name, entry.licence, len(entry.sha256)) == (name, "public domain", 64)
        assert entry.url.startswith("https://")
        assert entry.size > 200_000


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"MICROGPT_CACHE": "/m", "XDG_CACHE_HOME": "/x"}, "/m"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/microgpt"),
        ("linux", {"XDG_CACHE_HOME": "", "MICROGPT_CACHE": ""}, "/home/me/.cache/microgpt"),
        ("linux", {"MICROGPT_CACHE": "~/m"}, "/home/me/m"),
        ("darwin", {}, "/home/me/Library/Caches/microgpt"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/microgpt/cache"),
        ("win32", {}, "/home/me/AppData/Local/microgpt/cache"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the table is written with POSIX paths")
def test_the_cache_folder(monkeypatch, platform, environment, expected):
    for name in ("MICROGPT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache.cache_folder() == Path(expected)


def test_add_copies_and_then_it_is_cached(folder, tmp_path):
    (tmp_path / "mine.txt").write_bytes(TEXT)
    assert cache.cached("ssa-names") is None
    path = cache.add("ssa-names", tmp_path / "mine.txt")
    assert path.read_bytes() == TEXT
    assert cache.cached("ssa-names") == cache.cached("ssa-names", verify=True) == path
    assert cache.add("ssa-names", path) == path  # onto itself
    assert files_in(folder) == ["data/ssa-names.txt"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", [sha256(b"").hexdigest(), RIGHT.sha256, "0 bytes"]),
        (TEXT[:-1] + b"x", [sha256(TEXT[:-1] + b"x").hexdigest(), RIGHT.sha256]),
        (TEXT[:100_000], ["100,000 bytes with SHA-256", "expected 240,000 bytes", "nothing was stored"]),
        (TEXT + b"x", ["longer than its 240,000 bytes", "nothing was stored"]),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_nothing(folder, tmp_path, data, expected):
    (tmp_path / "mine.txt").write_bytes(data)
    with pytest.raises(DataError) as caught:
        cache.add("ssa-names", tmp_path / "mine.txt")
    assert [e for e in ["mine.txt", *expected] if e not in str(caught.value)] == []
    assert files_in(folder) == []


def test_a_wrong_file_leaves_the_old_one(folder, tmp_path):
    (tmp_path / "mine.txt").write_bytes(TEXT)
    path = cache.add("ssa-names", tmp_path / "mine.txt")
    (tmp_path / "mine.txt").write_bytes(b"wrong")
    with pytest.raises(DataError):
        cache.add("ssa-names", tmp_path / "mine.txt")
    assert path.read_bytes() == TEXT


@pytest.mark.parametrize(("damaged", "verify", "found"), [
    (TEXT[:-1], False, False),
    (b"x" + TEXT[1:], False, True),
    (b"x" + TEXT[1:], True, False),
])  # fmt: skip
def test_a_damaged_cache_is_found(folder, damaged, verify, found):
    RIGHT.path.parent.mkdir(parents=True)
    RIGHT.path.write_bytes(damaged)
    assert (cache.cached("ssa-names", verify=verify) is not None) == found


def test_a_file_that_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(DataError, match=r"absent\.txt: can't be read"):
        cache.add("ssa-names", tmp_path / "absent.txt")
    assert files_in(folder) == []


@pytest.mark.parametrize("do", [cache.cached, cache.get, lambda name: cache.add(name, "x")])
def test_an_unknown_name_is_named(folder, do):
    with pytest.raises(UnknownNameError, match=r"unknown data set 'sss-names' .*did you mean 'ssa-names'.*`text`"):
        do("sss-names")


@pytest.mark.parametrize(
    ("number", "error", "expected"),
    [
        (errno.ENOSPC, DoesNotFitError, "no room for the 240,000 bytes of ssa-names"),
        (errno.EIO, DataError, "can't be written"),
    ],
)
def test_a_disk_that_fails_leaves_nothing(folder, tmp_path, monkeypatch, number, error, expected):
    (tmp_path / "mine.txt").write_bytes(TEXT)

    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error, match=f"{expected}.*set MICROGPT_CACHE"):
        cache.add("ssa-names", tmp_path / "mine.txt")
    assert files_in(folder) == []


def test_a_cache_folder_that_is_a_file_is_named(folder, tmp_path):
    (tmp_path / "mine.txt").write_bytes(TEXT)
    folder.write_bytes(b"")
    with pytest.raises(DataError, match=r"cache.*can't be written.*set MICROGPT_CACHE"):
        cache.add("ssa-names", tmp_path / "mine.txt")


def test_get_fetches_once_and_reports(folder, monkeypatch):
    seen = []
    with serving(monkeypatch, TEXT) as asked:
        path = cache.get("ssa-names", progress=lambda done, size: seen.append((done, size)))
        assert cache.get("ssa-names") == path
    assert path.read_bytes() == TEXT
    assert asked == [RIGHT.url]
    assert seen == sorted(seen)
    assert seen[-1] == (len(TEXT), len(TEXT))


def test_get_repairs_a_damaged_cache(folder, monkeypatch):
    RIGHT.path.parent.mkdir(parents=True)
    RIGHT.path.write_bytes(b"x" + TEXT[1:])
    with serving(monkeypatch, TEXT):
        assert cache.get("ssa-names").read_bytes() == TEXT


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (URLError("no route to host"), "no route to host"),
        (TimeoutError("timed out"), "timed out"),
        (HTTPError(RIGHT.url, 404, "Not Found", Message(), io.BytesIO()), "404"),
    ],
)
def test_a_network_that_fails_names_the_way_out(folder, monkeypatch, answer, expected):
    with serving(monkeypatch, answer), pytest.raises(DataError) as caught:
        cache.get("ssa-names")
    for part in (f"can't fetch {RIGHT.url}", expected, "microgpt data add ssa-names FILE"):
        assert part in str(caught.value)
    assert files_in(folder) == []


@pytest.mark.parametrize("answer", [b"", b"<html>", TEXT + b"x", TEXT[:-1]])
def test_get_refuses_other_bytes(folder, monkeypatch, answer):
    with serving(monkeypatch, answer), pytest.raises(DataError, match=r"https://example.org/names.txt: not ssa-names"):
        cache.get("ssa-names")
    assert files_in(folder) == []


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://example.org/x", "file:///etc/hostname", "data:,x"])
def test_nothing_but_https_is_fetched(url):
    with pytest.raises(DataError, match=r"unknown url type.*instead"):
        list(download.fetch(url, "instead"))


def test_a_redirection_to_http_is_refused(monkeypatch):
    class Redirect(request.BaseHandler):
        def https_open(self, req):
            response = io.BytesIO()
            headers = Message()
            headers["Location"] = "http://example.org/plain"
            response.code, response.msg, response.info = 302, "Found", lambda: headers
            return response

    monkeypatch.setattr(request, "HTTPSHandler", Redirect)
    with pytest.raises(DataError, match="unknown url type: http"):
        list(download.fetch("https://example.org/x", ""))


@pytest.fixture
def no_network(monkeypatch):
    """Any connection is noted, and refused."""
    tried = []

    def refuse(self, address):
        tried.append(address)
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused by the test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [(2, 1, 6, "", ("192.0.2.1", 443))])
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tried


def test_only_get_connects(folder, tmp_path, no_network):
    (tmp_path / "mine.txt").write_bytes(TEXT)
    cache.catalogue()
    cache.cached("ssa-names", verify=True)
    with pytest.raises(DataError):
        list(SsaNames().documents("train"))
    with pytest.raises(DataError):
        cache.add("ssa-names", tmp_path / "absent")
    cache.add("ssa-names", tmp_path / "mine.txt")
    list(SsaNames().documents("train"))
    assert no_network == []


def test_the_check_for_connections_sees_get(folder, no_network):
    with pytest.raises(DataError, match="refused by the test"):
        cache.get("ssa-names")
    assert no_network == [("192.0.2.1", 443)]


@pytest.mark.parametrize("dataset", [SsaNames, TinyShakespeare])
def test_a_dataset_that_is_not_cached_says_how_to_get_it(folder, dataset):
    with pytest.raises(DataError) as caught:
        dataset().documents("train")
    for part in ("isn't in the cache", f"microgpt data get {dataset.name}", f"microgpt data add {dataset.name} FILE"):
        assert part in str(caught.value)


def test_a_damaged_dataset_is_not_read(folder):
    RIGHT.path.parent.mkdir(parents=True)
    RIGHT.path.write_bytes(b"x" + TEXT[1:])
    with pytest.raises(DataError, match="ssa-names is damaged in the cache"):
        SsaNames().documents("train")


def test_ssa_names(ssa_names):
    names = SsaNames(validation=0)
    assert list(names.documents("train"))[:3] == ["emma", "olivia", "ava"]
    assert len(list(names.documents("train"))) == 32_033
    train, validation = set(SsaNames().documents("train")), set(SsaNames().documents("validation"))
    assert (len(train), len(validation), len(train & validation)) == (26_545, 2_949, 0)


def test_tinyshakespeare(tinyshakespeare):
    (train,), (validation,) = TinyShakespeare().documents("train"), TinyShakespeare().documents("validation")
    assert (len(train), len(validation)) == (1_003_854, 111_540)
    assert train.startswith("First Citizen:\n")
    assert not TinyShakespeare.separate


def test_a_text_of_a_pack_is_kept_under_its_own_name(tmp_path: Path, folder: Path) -> None:
    data = b"a zip, say"
    entry = cache.Entry(
        "tiny", "a text", "somewhere", "CC0", "https://x.example/t.zip", 10, sha256(data).hexdigest(), ".zip"
    )
    (tmp_path / "t.zip").write_bytes(data)
    assert cache.cached(entry) is None
    assert cache.add(entry, tmp_path / "t.zip").name == "tiny.zip"
    assert cache.cached(entry, verify=True) == entry.path
