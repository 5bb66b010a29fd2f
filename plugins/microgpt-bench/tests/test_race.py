"""Races: turns are taken fairly, warm-up isn't counted, who can't run costs nobody else anything."""

from collections.abc import Iterator
from typing import Any

import pytest

from microgpt_bench import __version__
from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring import race as race_module
from microgpt_bench.measuring.race import Effort, Lane, race
from microgpt_bench.measuring.racer import CannotRunError

A, B, C = (Candidate(name) for name in "abc")
EFFORT = Effort(rounds=4, processes=2, block_seconds=0.1)


class FakeRacer:
    """A process that is told how long a turn takes it, and writes down what it is asked."""

    turn_ns = {"a": 1e7, "b": 2e8, "c": 1e3}
    log: list[tuple[str, int]] = []
    broken: dict[str, str] = {}
    least = cycle = 1
    version = __version__

    def __init__(self, candidate: Candidate, pinned: bool, scratch: str) -> None:
        self.candidate, self.done = candidate, 0

    def __enter__(self) -> "FakeRacer":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def prepare(self, work: str, settings: dict[str, Any]) -> dict[str, Any]:
        if self.candidate.use in self.broken:
            raise CannotRunError(self.broken[self.candidate.use])
        versions = {"microgpt-bench": self.version}
        turns = {"least_turns": self.least, "cycle": self.cycle}
        return {"first_s": 1.0, "tokens": 8, "versions": versions, **turns}

    def run(self, n: int) -> dict[str, Any]:
        self.log.append((self.candidate.use, n))
        self.done += 1
        cold = 10 if self.done == 1 else 1
        ns = cold * n * self.turn_ns[self.candidate.use]
        return {"ns": ns, "one": ns / n, "parts": {"op": ns / 4}, "yardstick": 5.0}

    def tell(self, **request: Any) -> dict[str, Any]:
        return {"peak_rss": 100 + 10 * self.done}


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(race_module, "Racer", FakeRacer)
    monkeypatch.setattr(FakeRacer, "log", [])
    monkeypatch.setattr(FakeRacer, "broken", {})
    return


def test_blocks_are_of_about_the_same_length_and_times_of_one_turn() -> None:
    a, b, c = race("step", [A, B, C], {}, EFFORT)
    timed = [(name, n) for name, n in FakeRacer.log if n > 1 or name == "b"]
    assert {n for name, n in timed if name == "a"} == {10}  # 0.1 s of 10 ms
    assert {n for name, n in timed if name == "b"} == {1}  # longer than a block
    assert {n for name, n in timed if name == "c"} == {race_module.MOST_TURNS}
    assert a.rounds == [[1e7] * 4] * 2
    assert b.rounds == [[2e8] * 4] * 2
    assert c.parts[0][0] == {"op": 250.0}
    assert a.yardsticks == [[5.0] * 4] * 2


def test_work_that_wants_many_turns_has_them_if_that_does_not_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRacer, "least", 32)
    race("ops", [A, B, C], {}, EFFORT)
    turns = {name: max(n for other, n in FakeRacer.log if other == name) for name in "abc"}
    assert turns == {"a": 32, "b": round(1e9 * race_module.LONGEST_BLOCK / 2e8), "c": race_module.MOST_TURNS}


def test_the_cold_turn_is_not_counted() -> None:
    (a,) = race("step", [A], {}, EFFORT)
    assert max(ns for process in a.rounds for ns in process) == 1e7  # the first took ten times that


def test_the_order_turns_with_every_round() -> None:
    race("step", [A, B, C], {}, Effort(rounds=3, processes=1))
    rounds = [name for name, _ in FakeRacer.log[3 * race_module.WARM :]]
    assert rounds == list("abc" + "bca" + "cab")


def test_who_cannot_run_is_left_out_and_says_why() -> None:
    FakeRacer.broken = {"b": "b: no such backend"}
    a, b, c = race("step", [A, B, C], {}, EFFORT)
    assert b.left_out == "b: no such backend"
    assert not b.rounds
    assert len(a.rounds) == len(c.rounds) == 2


def test_who_dies_on_the_way_is_left_out_from_there_on(monkeypatch: pytest.MonkeyPatch) -> None:
    alive = FakeRacer.run

    def run(self: FakeRacer, n: int) -> dict[str, Any]:
        if self.candidate.use == "b" and self.done == race_module.WARM + 1:
            raise CannotRunError("b: its process ended with exit code -9: Killed")
        return alive(self, n)

    monkeypatch.setattr(FakeRacer, "run", run)
    a, b, c = race("step", [A, B, C], {}, EFFORT)
    assert b.left_out == "b: its process ended with exit code -9: Killed"
    assert [len(rounds) for rounds in (*a.rounds, *c.rounds)] == [4] * 4


def test_another_version_of_the_pack_measures_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRacer, "version", "0.0.1")
    (a,) = race("step", [A], {}, EFFORT)
    assert "its environment has microgpt-bench 0.0.1" in a.left_out


def test_a_check_looks_at_the_first_process_and_stops_whom_it_marks() -> None:
    seen: list[list[str]] = []

    def check(lane: Lane) -> None:
        seen.append([timed.candidate.use for timed, _, _ in lane])
        for timed, _, _ in lane:
            timed.left_out = "wrong" if timed.candidate.use == "a" else ""

    a, b = race("step", [A, B], {}, EFFORT, check=check)
    assert seen == [["a", "b"]]
    assert a.left_out == "wrong"
    assert [len(rounds) for rounds in b.rounds] == [4, 4]


def test_memory_is_the_most_of_a_warm_process_and_what_checking_takes_is_not_counted() -> None:
    def check(lane: Lane) -> None:
        for _, racer, _ in lane:
            racer.run(1000)  # gradients of everybody, side by side

    (a,) = race("step", [A], {}, EFFORT, check=check)
    assert a.peaks == [100 + 10 * race_module.WARM] * 2
    assert a.peak_rss == max(a.peaks)


def test_progress_names_who_and_which_round() -> None:
    said: list[str] = []
    race("step", [A], {}, Effort(rounds=2, processes=1), said.append)
    assert said == ["a: getting ready, process 1 of 1", "round 1 of 2", "round 2 of 2"]
