"""Which processors a process is pinned to, on machines that are made up."""

from pathlib import Path

import pytest

from microgpt_bench.measuring.pin import best, pinned, told


def machine(folder: Path, cores: dict[str, int], measure: str = "cpu_capacity") -> list[int]:
    """The processors of a machine: the siblings that each core has, and its speed; 0 where nobody says."""
    found = []
    for siblings, speed in cores.items():
        for cpu in map(int, siblings.split(",")):
            place = folder / f"cpu{cpu}"
            (place / "topology").mkdir(parents=True)
            (place / "topology" / "thread_siblings_list").write_text(f"{siblings}\n", encoding="ascii")
            if speed:
                (place / measure).parent.mkdir(exist_ok=True)
                (place / measure).write_text(f"{speed}\n", encoding="ascii")
            found.append(cpu)
    return found


SMT = {"0,4": 0, "1,5": 0, "2,6": 0, "3,7": 0}
BIG_LITTLE = {"0": 400, "1": 400, "2": 1024, "3": 1024, "4": 400, "5": 400}
HYBRID = {
    "0,1": 5_200_000,
    "2,3": 5_000_000,
    "4": 3_900_000,
    "5": 3_900_000,
}  # two large cores with siblings, two small
FREQUENCY = "cpufreq/cpuinfo_max_freq"
MACHINES = {  # cores, their measure, threads -> processors, the first to be taken first
    "one of each core": (SMT, "", 4, [7, 6, 5, 4]),
    "siblings only where no core is left": (SMT, "", 6, [7, 6, 5, 4, 3, 2]),
    "the fast kind": (BIG_LITTLE, "cpu_capacity", 2, [3, 2]),
    "the fast kind, and then the other": (BIG_LITTLE, "cpu_capacity", 3, [3, 2, 5]),
    "by frequency": (HYBRID, FREQUENCY, 2, [1, 3]),
    "a small core before a sibling": (HYBRID, FREQUENCY, 4, [1, 3, 5, 4]),
}


@pytest.mark.parametrize("name", MACHINES)
def test_a_core_for_each_thread_and_the_fastest_first(name: str, tmp_path: Path) -> None:
    cores, measure, threads, expected = MACHINES[name]
    assert best(threads, machine(tmp_path, cores, measure), tmp_path) == expected


def test_only_what_is_allowed(tmp_path: Path) -> None:
    machine(tmp_path, BIG_LITTLE)
    assert best(2, {0, 1, 2}, tmp_path) == [2, 1]


def test_the_last_ones_where_nobody_says_anything(tmp_path: Path) -> None:
    assert best(2, range(4), tmp_path) == [3, 2]


WORDS = {
    "pinned to CPU 7": (SMT, [7], ""),
    "pinned to CPU 3, 7; warning: some share a core, so that more threads aren't as much faster": (SMT, [7, 3], ""),
    "pinned to CPU 2, 5; warning: they are of unequal speed, so that all wait for the slowest": (
        BIG_LITTLE,
        [2, 5],
        "cpu_capacity",
    ),
    "pinned to CPU 1, 3": (HYBRID, [1, 3], FREQUENCY),  # of one kind, though one runs a little faster
}


@pytest.mark.parametrize("words", WORDS)
def test_what_was_chosen_is_told(words: str, tmp_path: Path) -> None:
    cores, cpus, measure = WORDS[words]
    machine(tmp_path, cores, measure)
    assert told(cpus, tmp_path) == words


def test_elsewhere_nothing_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert pinned(1) == ""
