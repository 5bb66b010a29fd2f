"""Threads in a container: as many as its share of time is worth, whichever control groups set the limit."""

import os
from pathlib import Path

import pytest

from microgpt_simd import cgroup, threads

V1 = "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc\n"
TREES: dict[str, tuple[str, dict[str, str], float | None]] = {
    "none": ("", {}, None),
    "no limit": ("0::/\n", {"cpu.max": "max 100000"}, None),
    "the container's own": ("0::/\n", {"cpu.max": "200000 100000"}, 2),
    "half a core": ("0::/\n", {"cpu.max": "50000 100000"}, 0.5),
    "nonsense": ("0::/\n", {"cpu.max": "odd"}, None),
    "no period": ("0::/\n", {"cpu.max": "200000 0"}, None),
    "not text": ("0::/\n", {"cpu.max": "\udcff"}, None),
    "nested": ("0::/user/job\n", {"user/job/cpu.max": "300000 100000", "user/cpu.max": "max 100000"}, 3),
    "stricter outside": ("0::/user/job\n", {"user/job/cpu.max": "300000 100000", "user/cpu.max": "150000 100000"}, 1.5),
    "the host's path": ("0::/docker/abc\n", {"cpu.max": "100000 100000"}, 1),
    "first version": (
        V1,
        {"cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000", "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000"},
        2.5,
    ),
    "first version, no limit": (
        V1,
        {"cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "-1", "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000"},
        None,
    ),
    "first version, the host's path": (
        V1, {"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4,
    ),
    "another's group": ("0::/mine\n", {"other/cpu.max": "100000 100000"}, None),
}  # fmt: skip


def planted(root: Path, case: str) -> float | None:
    """Write down the files of a case; what there is to find in them."""
    membership, files, expected = TREES[case]
    for name, content in {
        cgroup.MEMBERSHIP: membership,
        **{f"{cgroup.GROUPS}/{n}": c for n, c in files.items()},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    return expected


@pytest.mark.parametrize("case", TREES)
def test_the_strictest_group_counts(case: str, tmp_path: Path) -> None:
    assert planted(tmp_path, case) == cgroup.cores_of_time(tmp_path)


def test_planted_a_limit_around_the_group_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: looking at the innermost group alone isn't enough for the table."""
    expected = planted(tmp_path, "stricter outside")
    monkeypatch.setattr(cgroup, "groups", lambda root: [root / cgroup.GROUPS / "user/job"])
    assert cgroup.cores_of_time(tmp_path) != expected


@pytest.mark.parametrize(("share", "cores"), [(None, 4), (8.0, 4), (2.0, 2), (1.6, 2), (0.2, 1)])
def test_threads_respect_affinity_and_the_share(
    share: float | None, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "cores_of_time", lambda: share)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 5}, raising=False)
    monkeypatch.delenv(threads.ASKED, raising=False)
    assert threads.asked_threads() == cores
