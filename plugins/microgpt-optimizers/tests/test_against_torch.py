"""Fifty steps in float64 beside PyTorch's own optimizers, on the same gradients; or beside the formula it lacks."""

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any

import pytest

from microgpt_core.components import Optimizer
from microgpt_core.training.optimizers import SGD, AdamW
from microgpt_optimizers.adafactor import Adafactor
from microgpt_optimizers.adagrad import Adagrad
from microgpt_optimizers.average import Average
from microgpt_optimizers.clip_value import ClipValue
from microgpt_optimizers.groups import Groups
from microgpt_optimizers.lion import Lion
from microgpt_optimizers.muon import Muon
from microgpt_optimizers.rmsprop import RMSprop
from microgpt_optimizers.split import Split

torch = pytest.importorskip("torch", reason="PyTorch, the oracle, isn't here")
Parameters = dict[str, Any]
ADAMW = {"betas": (0.9, 0.95), "eps": 1e-8}


def decayed(weights: Parameters, weight_decay: float, **fields: Any) -> list[dict[str, Any]]:
    """Groups as microgpt has them by itself: vectors don't decay."""
    return [
        {
            "params": [w for w in weights.values() if (w.ndim > 1) == matrix],
            "weight_decay": weight_decay if matrix else 0.0,
        }
        | fields
        for matrix in (True, False)
    ]


def muon(weights: Parameters) -> list[Any]:
    matrices = [w for w in weights.values() if w.ndim > 1]
    vectors = [w for w in weights.values() if w.ndim == 1]
    return [
        torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, momentum=0.9),
        torch.optim.AdamW(vectors, lr=0.01, weight_decay=0.0, **ADAMW),
    ]


def grouped(weights: Parameters) -> Any:
    """The embedding at a tenth of the rate and without decay."""
    rest = {name: w for name, w in weights.items() if name != "wte.weight"}
    own = {"params": [weights["wte.weight"]], "lr": 1e-3, "weight_decay": 0.0}
    return torch.optim.AdamW([*decayed(rest, 0.1, lr=1e-2), own], **ADAMW)


def split(weights: Parameters) -> list[Any]:
    mlp = {name: w for name, w in weights.items() if ".mlp." in name}
    rest = {name: w for name, w in weights.items() if name not in mlp}
    return [
        torch.optim.SGD(mlp.values(), lr=0.3, momentum=0.9),
        torch.optim.AdamW(decayed(rest, 0.1), lr=1e-2, **ADAMW),
    ]


CASES: dict[str, tuple[Optimizer, Callable[[Parameters], Any]]] = {
    "rmsprop": (RMSprop(lr=0.01, beta=0.9), lambda w: torch.optim.RMSprop(w.values(), lr=0.01, alpha=0.9)),
    "rmsprop with momentum": (
        RMSprop(lr=0.01, momentum=0.8), lambda w: torch.optim.RMSprop(w.values(), lr=0.01, momentum=0.8),
    ),
    "adagrad": (Adagrad(lr=0.1), lambda w: torch.optim.Adagrad(w.values(), lr=0.1)),
    "adafactor": (
        Adafactor(lr=0.05, weight_decay=0.1),
        lambda w: torch.optim.Adafactor(decayed(w, 0.1), lr=0.05, eps=(1e-12, 1e-3)),
    ),
    "adafactor, large rate": (
        Adafactor(lr=0.9), lambda w: torch.optim.Adafactor(w.values(), lr=0.9, eps=(1e-12, 1e-3)),
    ),
    "muon": (Muon(lr=0.02, momentum=0.9, others=[], scale="original", rest=AdamW(lr=0.01, weight_decay=0.0)), muon),
    "groups": (Groups(AdamW(lr=1e-2), [{"match": "wte", "lr": 1e-3, "weight_decay": 0.0}]), grouped),
    "split": (Split(AdamW(lr=1e-2), match="block.*.mlp", matched=SGD(lr=0.3, momentum=0.9)), split),
}  # fmt: skip


class Theirs:
    """The same weights, moved by PyTorch."""

    def __init__(self, ours: Any, make: Callable[[Parameters], Any], limit: float | None = None) -> None:
        self.weights = {
            p.name: torch.tensor(ours.weights()[p.name], dtype=torch.float64).reshape(p.shape).requires_grad_()
            for p in ours.update.trained
        }
        made = make(self.weights)
        self.optimizers, self.limit = made if isinstance(made, list) else [made], limit

    def step(self, step: int, grads: dict[str, list[float]]) -> None:
        for name, w in self.weights.items():
            w.grad = torch.tensor(grads[name], dtype=torch.float64).reshape(w.shape)
        if self.limit is not None:
            torch.nn.utils.clip_grad_value_(self.weights.values(), self.limit)
        for optimizer in self.optimizers:
            optimizer.step()

    def numbers(self) -> dict[str, list[float]]:
        return {name: w.detach().flatten().tolist() for name, w in self.weights.items()}


def error(found: dict[str, list[float]], expected: dict[str, list[float]]) -> float:
    """The largest difference, as a share of the largest number of its parameter."""
    assert found.keys() == expected.keys()
    return max(
        max(abs(a - b) for a, b in zip(x, expected[name], strict=True)) / max(map(abs, expected[name]))
        for name, x in found.items()
    )


@pytest.fixture(autouse=True)
def whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's Muon multiplies in bfloat16 whatever it is given; here it keeps its float64."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)


@pytest.mark.parametrize("name", CASES)
def test_fifty_steps_are_pytorch_s(name: str, steps: Any) -> None:
    optimizer, make = CASES[name]
    ours = steps(optimizer)
    start, theirs = ours.weights(), Theirs(ours, make)
    found = ours.run(50, theirs.step)
    assert error(found, theirs.numbers()) < 1e-6
    assert all(found[name] != start[name] for name in start)


def test_clipping_by_value_is_pytorch_s(steps: Any) -> None:
    ours = steps(ClipValue(SGD(lr=0.1, momentum=0.9), limit=0.5))
    theirs = Theirs(ours, lambda w: torch.optim.SGD(w.values(), lr=0.1, momentum=0.9), limit=0.5)
    assert error(ours.run(50, theirs.step), theirs.numbers()) < 1e-6


def test_an_average_of_all_steps_is_pytorch_s(steps: Any) -> None:
    ours = steps(Average(SGD(lr=0.01), decay=1.0))
    theirs = Theirs(ours, lambda w: torch.optim.SGD(w.values(), lr=0.01))
    module = torch.nn.ParameterList(theirs.weights.values())
    averaged = torch.optim.swa_utils.AveragedModel(module)

    def step(at: int, grads: dict[str, list[float]]) -> None:
        theirs.step(at, grads)
        averaged.update_parameters(module)

    ours.run(50, step)
    expected = [w.detach().flatten().tolist() for w in averaged.module.parameters()]
    found = {name: x.cast("B").cast("d").tolist() for name, x in ours.update.average().items()}
    assert error(found, dict(zip(found, expected, strict=True))) < 1e-6


def test_an_average_that_forgets_is_the_sum_over_all_steps(steps: Any) -> None:
    """sum_i decay^(t - i) w_i / sum_i decay^(t - i), from its start on."""
    decay, start = 0.8, 10
    ours, past = steps(Average(SGD(lr=0.01), decay=decay, start=start)), []
    ours.run(50, lambda step, grads: past.append(ours.weights()))
    past = [*past[1:], ours.weights()][start:]
    found = {name: x.cast("B").cast("d").tolist() for name, x in ours.update.average().items()}
    shares = [decay ** (len(past) - 1 - i) for i in range(len(past))]
    expected = {
        name: [sum(s * w for s, w in zip(shares, ws)) / sum(shares) for ws in zip(*(one[name] for one in past))]
        for name in found
    }
    assert error(found, expected) < 1e-12


def lion(w: Iterable[float], grads: list[list[float]], lr: float, decay: float) -> list[float]:
    """Algorithm 2 of the paper, number by number."""
    moved = []
    for i, p in enumerate(w):
        m = 0.0
        for grad in grads:
            c = 0.9 * m + 0.1 * grad[i]
            p = p - lr * ((c > 0) - (c < 0) + decay * p)
            m = 0.99 * m + 0.01 * grad[i]
        moved.append(p)
    return moved


def test_lion_is_the_paper_s(steps: Any) -> None:
    ours, past = steps(Lion(lr=0.01, weight_decay=0.3)), []
    start = ours.weights()
    found = ours.run(50, lambda step, grads: past.append(grads))
    for p in ours.update.trained:
        expected = lion(start[p.name], [grads[p.name] for grads in past], 0.01, 0.3 if len(p.shape) > 1 else 0.0)
        assert error({p.name: found[p.name]}, {p.name: expected}) < 1e-12


def test_planted_an_optimizer_that_is_a_little_different(steps: Any) -> None:
    """The control: another eps is seen."""
    ours = steps(RMSprop(lr=0.01, beta=0.9, eps=1e-4))
    theirs = Theirs(ours, CASES["rmsprop"][1])
    assert error(ours.run(50, theirs.step), theirs.numbers()) > 1e-6


def test_muon_makes_a_move_orthogonal(steps: Any) -> None:
    """Its singular values come to about 1, whatever they were; and at a scale as AdamW's, numbers to about 0.2."""
    from microgpt_optimizers.updates.muon_update import orthogonal

    torch.manual_seed(1)
    d = torch.randn(12, 30, dtype=torch.float64) @ torch.diag(torch.logspace(0, -1, 30, dtype=torch.float64))
    moved = torch.tensor(orthogonal(d.tolist(), 5, 1e-7), dtype=torch.float64)
    values = torch.linalg.svdvals(moved)
    assert 0.6 < values.min() < values.max() < 1.3
    assert 0.1 < 0.2 * sqrt(30) * moved.square().mean().sqrt() < 0.3
