"""Steps in one go are the steps one by one: the same bits, wherever a block begins and ends."""

import pytest

from microgpt_bench.golden import GOLDEN
from microgpt_bench.work import block
from microgpt_bench.work.training import OwnTraining
from microgpt_core.components import flat
from microgpt_core.engine.backends import REFERENCE


def training(name: str) -> OwnTraining:
    golden = GOLDEN[name]
    return OwnTraining(golden.build(), golden.batches(3), golden.optimizer(), REFERENCE)


def weights(made: OwnTraining) -> list[list[float]]:
    return [flat(x).tolist() for x in made.model.state().values()]


@pytest.mark.parametrize("most", [2, 3, 1024])
@pytest.mark.parametrize("name", ["e16", "w16"])
def test_a_block_makes_the_steps_one_by_one(name: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block, "MOST_STEPS", most)
    one, other = training(name), training(name)
    losses = [one.run(1) for _ in range(8)]
    assert other.run(1) == losses[0]
    assert other.run(2) == losses[2]
    assert other.run(5) == losses[7]
    assert weights(one) == weights(other)


def test_batches_too_large_to_lie_ready_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block, "MOST_BYTES", 64)
    one, other = training("e16"), training("e16")
    losses = [one.run(1) for _ in range(3)]
    assert other.run(3) == losses[2]
    assert weights(one) == weights(other)
    assert other.block is None
