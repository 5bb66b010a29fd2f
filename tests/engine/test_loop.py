"""A loop makes the turns that its replays would make one after the other, and ends where it is told to."""

from math import inf, nan

import pytest

from microgpt_core import ops
from microgpt_core.components import Backend, LoopPart, flat
from microgpt_core.engine.capture import Captured, capture
from microgpt_core.engine.loop import Loop
from microgpt_core.engine.replay import Replay
from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import CaptureError, ConfigurationError, StaleError

NUMBERS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]


def doubling() -> Captured:
    return capture(lambda x: ops.scale(x, factor=2.0), tensor(NUMBERS[0]))


def summing() -> Captured:
    return capture(lambda x: ops.sum(x), tensor(NUMBERS[0]))


def looped(most: int, until: tuple[int, int] | None = None) -> Loop:
    """Two plans, each fed with the numbers of the turn."""
    replays = [made.replay_for(tensor(NUMBERS[0])) for made in (doubling(), summing())]
    loop = Loop(replays, most, until)
    for feeds in loop.feeds:
        for i, value in enumerate(x for row in NUMBERS[:most] for x in row):
            flat(feeds[0])[i] = value
    return loop


def test_each_turn_is_what_the_replays_give() -> None:
    loop = looped(4)
    assert loop.run(4) == 4
    assert loop.results[0][0].tolist() == [[2 * x for x in row] for row in NUMBERS]
    assert loop.results[1][0].tolist() == [[sum(row)] for row in NUMBERS]


def test_some_of_the_turns() -> None:
    loop = looped(4)
    assert loop.run(2, 1) == 2
    assert loop.results[1][0].tolist() == [[0.0], [7.0], [11.0], [0.0]]


@pytest.mark.parametrize("bad", [nan, inf])
def test_it_ends_where_a_number_is_not_finite(bad: float) -> None:
    loop = looped(4, until=(1, 0))
    flat(loop.feeds[1][0])[4] = bad  # of the third turn
    assert loop.run(4) == 2
    assert loop.run(1, 3) == 1  # and can be run again
    assert loop.run(2, 1) == 1
    assert loop.results[0][0].tolist()[2] == [10.0, 12.0]  # what came before it in that turn is made


def test_one_plan_may_take_several_turns_in_a_turn() -> None:
    made = summing()
    replay = made.replay_for(tensor(NUMBERS[0]))
    loop = Loop([replay, replay], 1)
    flat(loop.feeds[0][0])[:] = tensor([1.0, 2.0]).data
    flat(loop.feeds[1][0])[:] = tensor([3.0, 4.0]).data
    assert loop.run(1) == 1
    assert [results[0].tolist() for results in loop.results] == [[[3.0]], [[7.0]]]


@pytest.mark.parametrize(("turns", "first"), [(5, 0), (2, 3), (1, -1), (-1, 1)])
def test_turns_that_there_is_no_room_for(turns: int, first: int) -> None:
    with pytest.raises(ConfigurationError, match=f"turns.*{turns} from {first} on.*up to 4"):
        looped(4).run(turns, first)


def test_nobody_else_runs_in_its_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = looped(1)
    region = loop.replays[1].region
    with region.busy, pytest.raises(CaptureError, match="two replays in one region at once"):
        loop.run(1)
    assert not loop.replays[0].region.busy.locked()
    assert loop.run(1) == 1


def test_what_a_replay_gave_before_is_gone() -> None:
    made = doubling()
    before = made(tensor(NUMBERS[0]))
    loop = Loop([made.replay_for(tensor(NUMBERS[0]))], 1)
    loop.run(1)
    with pytest.raises(StaleError, match="overwritten"):
        before.tolist()


def test_a_backend_may_make_all_turns_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def loop_of(self: Backend, parts: list[LoopPart]) -> object:
        assert [len(part.runs) for part in parts] == [1, 1]
        return lambda turns, first: asked.append((turns, first)) or turns

    monkeypatch.setattr(Backend, "loop", loop_of)
    assert looped(4).run(3, 1) == 3
    assert asked == [(3, 1)]


def test_a_backend_may_join_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    def together(self: Backend, runs: list) -> list:
        return [lambda: [run() for run in runs]]

    monkeypatch.setattr(Backend, "join", together)
    made = capture(lambda x: ops.scale(ops.scale(x, factor=2.0), factor=3.0), tensor([1.0]))
    replay = made.replay_for(tensor([1.0]))
    assert isinstance(replay, Replay)
    assert len(replay.program) == 1
    assert made(tensor([5.0])).tolist() == [30.0]
    assert len(replay.timed(tensor([5.0]))) == 2  # calls are timed one by one
