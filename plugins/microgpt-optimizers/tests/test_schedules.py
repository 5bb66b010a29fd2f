"""Schedules: their factors, step by step, against formulas and PyTorch's schedulers."""

from math import sqrt
from typing import Any

import pytest

from microgpt_core.components import Schedule
from microgpt_core.errors import ConfigurationError
from microgpt_optimizers.plateau import Plateau
from microgpt_optimizers.schedules import WSD, Exponential, InverseSqrt, OneCycle, Restarts, StepDown

N = 100


def factors(schedule: Schedule, n: int = N) -> list[float]:
    return [schedule.factor(step, n) for step in range(n)]


def test_a_step_down() -> None:
    assert factors(StepDown(every=3, gamma=0.5), 8) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert factors(StepDown(warmup_steps=2, every=2, gamma=0.1), 6) == pytest.approx([0.5, 1.0, 1.0, 1.0, 0.1, 0.1])


def test_restarts_begin_at_the_top_and_take_longer_each_time() -> None:
    found = factors(Restarts(period=10, growth=2.0, floor=0.1))
    tops = [step for step, factor in enumerate(found) if factor == 1.0]
    assert tops == [0, 10, 30, 70]
    assert found[5] == found[20] == found[50] == pytest.approx(0.55)
    assert min(found) >= 0.1
    assert factors(Restarts(period=10, growth=1.0))[::10] == [1.0] * 10


def test_exponential_has_one_ratio_and_one_end() -> None:
    found = [*factors(Exponential(final=0.01)), 0.01]
    assert [b / a for a, b in zip(found, found[1:])] == pytest.approx([0.01 ** (1 / N)] * N)


def test_inverse_square_root() -> None:
    found = factors(InverseSqrt(warmup_steps=16))
    assert found[15] == found[16] == 1.0
    assert found[64] == pytest.approx(0.5)
    assert found[40] == pytest.approx(sqrt(16 / 40))
    assert factors(InverseSqrt(warmup_steps=0))[3] == 0.5


def test_one_cycle_goes_up_and_down() -> None:
    found = factors(OneCycle(rise=0.3, begin=0.1, final=0.01))
    assert (found[0], found[29], found[99]) == pytest.approx((0.1, 1.0, 0.01))
    assert found[:30] == sorted(found[:30])
    assert found[29:] == sorted(found[29:], reverse=True)
    assert factors(OneCycle(warmup_steps=4, begin=0.1), 5) == pytest.approx([0.025, 0.05, 0.075, 0.1, 1.0])
    for rise in (0.0, 1.0):  # down all the way, or up
        assert max(factors(OneCycle(rise=rise))) == 1.0


@pytest.mark.parametrize(("curve", "half"), [("linear", 0.5), ("cosine", 0.5), ("sqrt", 1.0 - sqrt(0.5))])
def test_wsd_is_stable_and_then_goes_down(curve: Any, half: float) -> None:
    found = factors(WSD(decay=0.2, curve=curve))
    assert found[:81] == [1.0] * 81
    assert found[90] == pytest.approx(half)
    assert found[80:] == sorted(found[80:], reverse=True)
    assert factors(WSD(decay=1.0, curve=curve, final=0.5))[50] == pytest.approx(0.5 + 0.5 * half)


LOSSES = [3.0, 2.5, 2.5, 2.6, 2.4, 2.45, 2.39, 2.41, 2.5, 2.5, 2.5, 2.6, 2.38, 2.4, 2.4, 2.4]


def test_a_plateau_is_noticed_after_the_patience_and_known_from_then_on() -> None:
    schedule = Plateau(patience=1, gamma=0.5)
    schedule.evaluations = [(10 * (i + 1), loss) for i, loss in enumerate([3.0, 2.0, 2.1, 2.2, 1.9, 2.0, 2.0, 2.0])]
    found = factors(schedule)
    assert [found[step] for step in (0, 20, 39, 40, 69, 70, 79, 80, 99)] == [
        1.0,
        1.0,
        1.0,
        0.5,
        0.5,
        0.25,
        0.25,
        0.25,
        0.25,
    ]
    assert factors(Plateau(patience=1)) == [1.0] * N  # nothing has been evaluated
    schedule.floor = 0.3
    assert factors(schedule)[-1] == 0.3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepDown(every=0), "every: found 0, allowed: 1 or more"),
        (lambda: StepDown(gamma=1.5), "gamma: found 1.5"),
        (lambda: Restarts(period=0), "period: found 0"),
        (lambda: Restarts(growth=0.5), "growth: found 0.5, allowed: 1 or more"),
        (lambda: Restarts(floor=2.0), "floor: found 2.0"),
        (lambda: Exponential(final=0.0), "final: found 0.0"),
        (lambda: OneCycle(rise=1.5), "rise: found 1.5, allowed: 0 to 1"),
        (lambda: OneCycle(begin=-0.1), "begin: found -0.1"),
        (lambda: OneCycle(final=2.0), "final: found 2.0"),
        (lambda: WSD(decay=0.0), "decay: found 0.0"),
        (lambda: WSD(decay=1.5), "decay: found 1.5"),
        (lambda: WSD(curve="square"), "curve: found square, allowed: sqrt, linear or cosine"),
        (lambda: Plateau(patience=-1), "patience: found -1"),
        (lambda: Plateau(gamma=1.0), "gamma: found 1.0"),
        (lambda: Plateau(threshold=-1.0), "threshold: found -1.0"),
        (lambda: Plateau(warmup_steps=-1), "warmup_steps: found -1"),
    ],
)
def test_impossible_fields_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


def pytorch(make: Any, losses: list[float] | None = None, n: int = N) -> list[float]:
    """The factors of one of PyTorch's schedulers."""
    torch = pytest.importorskip("torch", reason="PyTorch, the oracle, isn't here")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, found = make(torch.optim.lr_scheduler, optimizer), []
    for step in range(n):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([losses[step]] if losses else []))
    return found


@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (StepDown(every=7, gamma=0.3), lambda s, o: s.StepLR(o, 7, 0.3)),
        (Exponential(final=0.05), lambda s, o: s.ExponentialLR(o, 0.05 ** (1 / N))),
        (
            OneCycle(rise=0.35, begin=0.1, final=0.001),
            lambda s, o: s.OneCycleLR(
                o, 1.0, total_steps=N, pct_start=0.35, div_factor=10, final_div_factor=100, cycle_momentum=False
            ),
        ),
        (Restarts(period=7, growth=2.0, floor=0.1), lambda s, o: s.CosineAnnealingWarmRestarts(o, 7, 2, eta_min=0.1)),
    ],
    ids=["step", "exponential", "one-cycle", "restarts"],
)
def test_factors_are_pytorch_s(schedule: Schedule, make: Any) -> None:
    assert factors(schedule) == pytest.approx(pytorch(make), abs=1e-12)


@pytest.mark.parametrize("patience", [0, 1, 2])
@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_a_plateau_is_pytorch_s(patience: int, threshold: float) -> None:
    """An evaluation after each step; a factor is that of the step after it."""
    schedule, n = Plateau(patience=patience, gamma=0.3, threshold=threshold), len(LOSSES)
    schedule.evaluations = [(step + 1, loss) for step, loss in enumerate(LOSSES)]

    def make(schedulers: Any, optimizer: Any) -> Any:
        return schedulers.ReduceLROnPlateau(
            optimizer, factor=0.3, patience=patience, threshold=threshold, threshold_mode="abs", eps=0.0
        )

    expected = pytorch(make, LOSSES, n)
    assert factors(schedule, n) == pytest.approx(expected)
    assert min(expected) < 1.0
