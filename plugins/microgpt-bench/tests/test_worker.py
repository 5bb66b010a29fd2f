"""Real processes on the reference: they do the work they are asked, and what goes wrong in them is told."""

import sys
import time

import pytest

from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring import worker as worker_module
from microgpt_bench.measuring.pin import THREADS, can_pin
from microgpt_bench.measuring.race import Effort, race
from microgpt_bench.measuring.racer import CannotRunError, Racer, environment
from microgpt_bench.measuring.worker import Worker, answer, pieces
from microgpt_bench.work.work import Work
from microgpt_core.errors import ConfigurationError

REFERENCE = Candidate("reference")
SHORT = Effort(rounds=2, processes=1, block_seconds=0.01)


@pytest.mark.parametrize(
    ("work", "model", "tokens"),
    [("step", "e16", 8), ("ops", "e16", 8), ("generate", "e16", 1), ("startup", "import", 0)],
)
def test_each_kind_of_work(work: str, model: str, tokens: int) -> None:
    who = Candidate("python") if work == "startup" else REFERENCE
    (timed,) = race(work, [who], {"model": model}, SHORT)
    assert not timed.left_out
    assert timed.facts["tokens"] == tokens
    assert all(ns > 0 for ns in timed.rounds[0])
    assert timed.first_s > 0
    assert sys.platform == "win32" or timed.peak_rss > 10**7


def test_ops_are_parts_of_the_step() -> None:
    (timed,) = race("ops", [REFERENCE], {"model": "e16"}, SHORT)
    for step, parts in zip(timed.rounds[0], timed.parts[0]):
        assert {"linear.forward", "linear.backward", "attention.backward", "adamw_update.forward"} <= set(parts)
        assert 0 < sum(parts.values()) <= step


CANNOT = {
    "a backend that isn't here": (Candidate("simt"), "step", "e16", "unknown backend 'simt'"),
    "a precision that isn't": (Candidate("reference", "float8"), "step", "e16", "float8"),
    "a peer that isn't here": (Candidate("tensorfloe", peer=True), "step", "e16", "unknown peer"),
    "a step that takes hours": (
        REFERENCE,
        "step",
        "gpt2",
        r"gpt2 would take about [\d,]+ s; .* --longest \d+",
    ),
    "a peer's ops": (Candidate("torch", peer=True), "ops", "e16", "a peer has no plan"),
}


@pytest.mark.parametrize("name", CANNOT)
def test_who_cannot_says_why(name: str) -> None:
    who, work, model, why = CANNOT[name]
    with Racer(who) as racer, pytest.raises(CannotRunError, match=why):
        racer.prepare(work, {"model": model})


def test_a_fault_in_the_measuring_itself_is_not_taken_for_a_candidate_that_cannot() -> None:
    with Racer(REFERENCE) as racer, pytest.raises(ConfigurationError, match="KeyError: 'e15'"):
        racer.prepare("step", {"model": "e15"})


def test_a_process_that_dies_is_told() -> None:
    with Racer(REFERENCE) as racer:
        racer.process.kill()
        with pytest.raises(CannotRunError, match="its process ended with exit code"):
            racer.prepare("step", {"model": "e16"})


def test_it_has_the_threads_and_the_core_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.setenv(name, "7")
    with Racer(Candidate("reference", threads=1)) as racer:
        racer.prepare("step", {"model": "e16"})
        if can_pin():
            with open(f"/proc/{racer.process.pid}/status", encoding="utf-8") as status:
                (cores,) = [line.split()[1] for line in status if line.startswith("Cpus_allowed_list")]
            assert cores.isdigit()  # one core
            with open(f"/proc/{racer.process.pid}/environ", "rb") as environ:
                assert {f"{name}=1".encode() for name in THREADS} <= set(environ.read().split(b"\0"))


@pytest.mark.skipif(sys.platform != "linux", reason="writes to another process's stderr, which only Linux shows")
def test_what_it_says_on_stderr_fills_no_pipe_and_its_last_words_are_told() -> None:
    """Compilers write megabytes of progress there."""
    with Racer(REFERENCE) as racer:
        racer.prepare("step", {"model": "e16"})
        with open(f"/proc/{racer.process.pid}/fd/2", "a", encoding="utf-8") as stderr:
            stderr.write("progress\n" * 100_000 + "Killed\n")
        assert racer.run(1)["ns"] > 0
        racer.process.kill()
        with pytest.raises(CannotRunError, match=r"ended with exit code -9 \(killed: .*\): Killed"):
            racer.run(1)


PIECES = {
    "fewer than asked for": (3, 32, [1, 1, 1]),
    "even": (64, 32, [2] * 32),
    "nearly": (7, 3, [3, 2, 2]),
    "one": (9, 1, [9]),
}


@pytest.mark.parametrize("name", PIECES)
def test_a_block_is_timed_in_pieces(name: str) -> None:
    n, most, expected = PIECES[name]
    assert pieces(n, most) == expected


def test_a_piece_that_was_disturbed_does_not_count() -> None:
    worker = Worker()
    worker.work = Disturbed()
    assert worker.run(64)["ns"] < 64e6  # the median piece takes next to nothing, one takes 0.1 s


def test_a_turn_that_fills_its_block_is_not_made_twice() -> None:
    """A step of seconds would take a round twice as long."""
    worker, work = Worker(), Disturbed()
    worker.work = work
    said = worker.run(1)
    assert work.done == 1
    assert said["one"] == said["ns"]
    worker.run(2)
    assert work.done == 1 + 2 + 1  # two in the block, one alone


class Disturbed(Work):
    """Takes long once."""

    pieces, done = 32, 0

    def run(self, n: int) -> None:
        self.done += 1
        time.sleep(0.1 if self.done == 5 else 0)


class Cycle(Work):
    """Every second turn takes twice as long, and one of them is disturbed: by a clock that only goes while it works."""

    cycle, done, now = 2, 0, 0

    def run(self, n: int) -> None:
        self.done += n
        self.now += n * (100 if self.done == 4 else 2 if self.done % 2 else 4)


def test_turns_that_are_not_alike_have_a_median_each(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, work = Worker(), Cycle()
    worker.work = work
    monkeypatch.setattr(worker_module, "perf_counter_ns", lambda: work.now)
    assert worker.run(10)["ns"] == 10 * (2 + 4) / 2
    assert work.done == 11  # and once alone


def test_another_environment_imports_nothing_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    assert "PYTHONPATH" in environment(REFERENCE)
    assert "PYTHONPATH" not in environment(Candidate("reference", environment="base"))


def test_what_a_peer_raises_leaves_the_others_racing() -> None:
    worker = Worker()
    worker.peer, worker.work = True, Disturbed()
    assert answer(worker, {"do": "ask", "what": "nothing"})["cannot"].startswith("AttributeError: ")
    worker.peer = False
    assert "Traceback" in answer(worker, {"do": "ask", "what": "nothing"})["failed"]  # ours is a fault to be seen
