"""Saves under faults: whatever call fails, and wherever the process is killed, the old content or the new is there."""

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from array import array
from contextlib import suppress
from itertools import count
from types import SimpleNamespace

import pytest

from microgpt_core.errors import CheckpointError, StorageError
from microgpt_core.storage import atomic, atomic_folder, atomic_write, manifest, remove_stale, verify_folder

real_open = open
OLD, NEW = b"old " * 500, b"the new content " * 700  # more than one block of the file buffer


class Faults:
    """Counts every call with which our modules change the disk; runs `fault` at call number `at` (and later ones)."""

    def __init__(self, monkeypatch, fault, at, sticky=False):
        self.fault, self.at, self.sticky, self.calls = fault, at, sticky, []
        counted = {name: self.counted(name, getattr(os, name)) for name in ("open", "fsync", "close", "replace")}
        monkeypatch.setattr(atomic, "os", SimpleNamespace(**{**vars(os), **counted}))
        monkeypatch.setattr(
            atomic, "shutil", SimpleNamespace(rmtree=self.counted("rmtree", shutil.rmtree, faulty=fault is kill))
        )
        for module in (atomic, manifest, sys.modules[__name__]):
            monkeypatch.setattr(module, "open", self.open, raising=False)

    @property
    def hit(self):
        return len(self.calls) > self.at

    def point(self, name):
        self.calls.append(name)
        if len(self.calls) - 1 == self.at or (self.sticky and self.hit):
            self.fault()

    def counted(self, name, function, faulty=True):
        def call(*args, **kwargs):
            if faulty:
                self.point(name)
            return function(*args, **kwargs)

        return call

    def open(self, path, mode="r", encoding=None, newline=None):
        if "w" not in mode:
            return real_open(path, mode, encoding=encoding, newline=newline)
        self.point("open file")
        file = io.BufferedWriter(FaultyFile(path, self))
        return file if "b" in mode else io.TextIOWrapper(file, encoding=encoding, newline=newline)


class FaultyFile(io.FileIO):
    """A file whose failing write has already written one half."""

    def __init__(self, path, faults):
        super().__init__(path, "w")
        self.faults = faults

    def write(self, data):
        half = len(data) // 2
        written = super().write(memoryview(data)[:half])
        self.faults.point("write")
        return written + super().write(memoryview(data)[half:])


def failing(number):
    def fault():
        raise OSError(number, os.strerror(number))

    return fault


def interrupt():
    raise KeyboardInterrupt


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def write_file(path, content):
    atomic_write(path, [content[:10], memoryview(content)[10:]])


def write_folder(path, content):
    with atomic_folder(path) as folder:
        atomic_write(folder / "model.bin", content)
        (folder / "deeper").mkdir()
        with open(folder / "deeper" / "state.bin", "wb") as file:
            file.write(content)


def write_in_place(path, content):  # planted bug
    with open(path, "wb") as file:
        file.write(content)


def write_and_litter(path, content):  # planted bug
    with open(atomic._sibling(path, "tmp"), "wb") as file:
        file.write(content)
    atomic.os.replace(atomic._sibling(path, "tmp"), path)


def write_and_hush(path, content):  # planted bug
    with suppress(StorageError):
        atomic_write(path, content)


def load(path):
    """The content, if it can be read whole."""
    try:
        if not path.is_dir():
            return path.read_bytes()
        verify_folder(path)
        contents = {(path / name).read_bytes() for name in ("model.bin", "deeper/state.bin")}
        return contents.pop() if len(contents) == 1 else None
    except (OSError, CheckpointError):
        return None


def violations(write, tmp_path, fault, sticky=False):
    """Every broken promise of `write`, with the fault at its first call, its second, ... until it gets through."""
    broken, hit = [], True
    at = 0
    while hit:
        found, hit = attempt(write, tmp_path / f"{at}" / "target", fault, at, sticky)
        broken += found
        at += 1
    assert at > 2  # the faults were really injected
    return broken


def attempt(write, path, fault, at, sticky):
    """The broken promises of one save, and whether the fault was hit at all."""
    path.parent.mkdir()
    write(path, OLD)
    with pytest.MonkeyPatch.context() as monkeypatch:
        faults = Faults(monkeypatch, fault, at, sticky)
        try:
            write(path, NEW)
            reported = False
        except (OSError, KeyboardInterrupt):
            reported = True
    if sticky:  # a disk that stays dead can't be tidied; the next process does it
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(atomic, "_is_running", lambda pid: False)
            remove_stale(path.parent)
    promises = {
        "reported as it was": reported == faults.hit,
        "old or new content": load(path) in ((OLD, NEW) if reported else (NEW,)),
        "nothing left behind": os.listdir(path.parent) == ["target"],
    }
    return [f"call {at}: not {promise}" for promise, kept in promises.items() if not kept], faults.hit


FAULTS = [failing(errno.ENOSPC), failing(errno.EIO), failing(errno.EDQUOT), failing(errno.EROFS), interrupt]


@pytest.mark.parametrize("fault", FAULTS, ids=["ENOSPC", "EIO", "EDQUOT", "EROFS", "interrupt"])
@pytest.mark.parametrize("write", [write_file, write_folder])
def test_no_failing_call_harms_what_was_saved(write, fault, tmp_path):
    assert violations(write, tmp_path, fault) == []


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_a_disk_that_stays_dead_harms_nothing(write, tmp_path):
    assert violations(write, tmp_path, failing(errno.EIO), sticky=True) == []


@pytest.mark.parametrize(
    ("write", "symptom"),
    [(write_in_place, "content"), (write_and_litter, "left behind"), (write_and_hush, "reported")],
)
def test_the_sweep_catches_planted_bugs(write, symptom, tmp_path):
    assert any(symptom in line for line in violations(write, tmp_path, failing(errno.ENOSPC)))


def kill_points(write, tmp_path):
    """Kills a process at every call of a save; what each death left behind, after `remove_stale`."""
    for at in count():
        path = tmp_path / f"{at}" / "target"
        path.parent.mkdir()
        write(path, OLD)
        if (child := os.fork()) == 0:
            try:
                Faults(pytest.MonkeyPatch(), kill, at)
                write(path, NEW)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert load(path) == NEW
            assert at >= 2
            return
        remove_stale(path.parent)
        yield load(path), os.listdir(path.parent)


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
quiet = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@forks
@quiet
@pytest.mark.parametrize("write", [write_file, write_folder])
def test_killed_at_any_call(write, tmp_path):
    assert all(content in (OLD, NEW) and names == ["target"] for content, names in kill_points(write, tmp_path))


@forks
@quiet
def test_the_kill_sweep_catches_a_planted_bug(tmp_path):
    assert any(content not in (OLD, NEW) for content, _ in kill_points(write_in_place, tmp_path))


def test_a_full_disk_for_real(tmp_path):
    resource = pytest.importorskip("resource", reason="the system has no limit on file sizes")
    path = tmp_path / "model.bin"
    atomic_write(path, OLD)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"3,000,000 bytes needed\): .* \(ulimit -f\)") as caught:
            atomic_write(path, bytes(3_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.exit_code == 4
    assert path.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["model.bin"]


def test_the_error_says_what_and_how_much_and_is_exit_code_4_where_room_is_missing(tmp_path, monkeypatch):
    Faults(monkeypatch, failing(errno.ENOSPC), 1)
    with pytest.raises(StorageError) as caught:
        atomic_write(tmp_path / "model.bin", NEW)
    assert str(tmp_path / "model.bin") in str(caught.value)
    assert f"{len(NEW):,} bytes needed" in str(caught.value)
    assert (caught.value.errno, caught.value.exit_code) == (errno.ENOSPC, 4)


def test_the_error_of_a_folder_says_how_much_was_written(tmp_path):
    def save():
        with atomic_folder(tmp_path / "target") as folder:
            (folder / "a").write_bytes(OLD)
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(StorageError, match=r"target \(at least 2,000 bytes needed\): Input/output error"):
        save()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_a_missing_parent(write, tmp_path):
    with pytest.raises(StorageError, match=r"can't save .*gone.* bytes needed\)") as caught:
        write(tmp_path / "gone" / "target", NEW)
    assert caught.value.exit_code == 1


def test_a_fault_of_the_program_passes_unchanged_and_leaves_nothing(tmp_path):
    def save():
        with atomic_folder(tmp_path / "b") as folder:
            (folder / "file").write_bytes(NEW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        save()
    with pytest.raises(TypeError):
        atomic_write(tmp_path / "a", ["text"])
    assert os.listdir(tmp_path) == []


def test_any_chunks_become_one_file(tmp_path):
    numbers = memoryview(array("f", range(6))).cast("B").cast("f", (2, 3))
    atomic_write(tmp_path / "a", (chunk for chunk in [b"x", b"", bytearray(b"yz"), numbers]))
    assert (tmp_path / "a").read_bytes() == b"xyz" + bytes(numbers)


def test_large_chunks_are_not_copied(tmp_path):
    chunk = bytearray(8_000_000)
    tracemalloc.start()
    atomic_write(tmp_path / "a", [memoryview(chunk)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000


def test_a_folder_never_replaces_a_file(tmp_path):
    (tmp_path / "target").write_bytes(OLD)
    with pytest.raises(StorageError):
        write_folder(tmp_path / "target", NEW)
    assert (tmp_path / "target").read_bytes() == OLD
    assert os.listdir(tmp_path) == ["target"]


def test_the_older_folder_stays_when_the_new_one_does_not_verify(tmp_path, monkeypatch):
    def bad_manifest(folder):
        manifest.write_manifest(folder)
        (folder / "model.bin").write_bytes(b"the disk lied")

    write_folder(tmp_path / "target", OLD)
    monkeypatch.setattr(atomic, "write_manifest", bad_manifest)
    with pytest.raises(CheckpointError, match="model.bin is damaged"):
        write_folder(tmp_path / "target", NEW)
    assert load(tmp_path / "target") == OLD
    assert os.listdir(tmp_path) == ["target"]


def test_a_link_is_replaced_and_what_it_pointed_to_stays(tmp_path):
    write_folder(tmp_path / "step-1", OLD)
    try:
        (tmp_path / "best").symlink_to("step-1", target_is_directory=True)
    except OSError:
        pytest.skip("this user may not make links")
    write_folder(tmp_path / "best", NEW)
    assert load(tmp_path / "step-1") == OLD
    assert load(tmp_path / "best") == NEW
    assert sorted(os.listdir(tmp_path)) == ["best", "step-1"]


def test_a_leftover_under_our_own_number_is_no_obstacle(tmp_path):
    """In a container every run may be process 1."""
    for kind in ("tmp", "old"):
        write_folder(atomic._sibling(tmp_path / "target", kind), OLD)
    atomic._sibling(tmp_path / "file", "tmp").write_bytes(OLD)
    write_folder(tmp_path / "target", NEW)
    write_file(tmp_path / "file", NEW)
    assert sorted(os.listdir(tmp_path)) == ["file", "target"]


@pytest.fixture(scope="module")
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([".a.tmp-{dead}"], []),
        ([".a.tmp-{alive}", ".a.tmp-{other}"], [".a.tmp-{alive}", ".a.tmp-{other}"]),
        ([".a.old-{dead}"], ["a"]),
        (["a", ".a.old-{dead}", ".a.tmp-{dead}"], ["a"]),
        ([".a.old-{alive}"], [".a.old-{alive}"]),
        ([".tmp-{dead}", ".a.tmp-", ".a.tmp-x", "a.tmp-{dead}", ".a.tmp-9999999999"], None),
    ],
)
@pytest.mark.parametrize("folders", [False, True])
def test_remove_stale(before, after, folders, dead, tmp_path):
    def named(names):
        return sorted(name.format(dead=dead, alive=os.getpid(), other=os.getppid()) for name in names)

    for name in named(before):
        (write_folder if folders else write_file)(tmp_path / name, OLD)
    remove_stale(tmp_path)
    assert sorted(os.listdir(tmp_path)) == named(before if after is None else after)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows is asked in another way")
def test_a_process_of_another_user_is_running(monkeypatch):
    monkeypatch.setattr(atomic.os, "kill", failing_kill)
    assert atomic._is_running(12345)


def failing_kill(pid, number):
    raise PermissionError(errno.EPERM, "not yours")


def test_remove_stale_without_the_folder(tmp_path):
    with pytest.raises(StorageError, match="can't clean up"):
        remove_stale(tmp_path / "gone")


@pytest.mark.parametrize(("number", "accepted"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_file_system_that_cannot_fsync_a_folder(number, accepted, tmp_path, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the system doesn't tell what a descriptor is")
    monkeypatch.setattr(atomic, "os", SimpleNamespace(**{**vars(os), "fsync": fsync}))
    if accepted:
        write_folder(tmp_path / "target", NEW)
        assert load(tmp_path / "target") == NEW
    else:
        with pytest.raises(StorageError):
            write_folder(tmp_path / "target", NEW)
        assert not (tmp_path / "target").exists()
