"""Optimizers' fields, and the update: clipping, frozen parameters, state. Its numbers: test_against_torch.py."""

from dataclasses import dataclass
from math import isnan, sqrt

import pytest

from microgpt_core.components import Op, Optimizer, flat
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.text.batch import padded
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import SGD, Adam, AdamW
from microgpt_core.training.update import Update

BATCH = padded([[0, 1, 2, 3], [3, 4, 5]])


def updated(model, optimizer, lr=1.0, **options) -> float:
    update = Update(model, optimizer, **options)
    update.allocate()
    BatchLoss(model).train([BATCH])
    return update(lr, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(momentum=1.0), "momentum"),
        (lambda: SGD(momentum=-0.1), "momentum"),
        (lambda: SGD(nesterov=True), "nesterov: found true without momentum"),
        (lambda: Adam(betas=(0.9, 1.0)), "betas: found 1.0"),
        (lambda: Adam(betas=(-0.1, 0.9)), "betas: found -0.1"),
        (lambda: Adam(betas=(0.9,)), "betas: .*allowed: two numbers"),
        (lambda: AdamW(eps=0.0), "eps"),
        (lambda: AdamW(weight_decay=-0.1), "weight_decay"),
        (lambda: AdamW(lr=-1e-3), "lr"),
        (lambda: SGD(lr=float("nan")), "lr"),
        (lambda: SGD(lr=0.0), "lr"),
    ],
)
def test_impossible_fields_are_refused(make, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize("max_norm", [0.01, 0.5])
def test_gradients_are_clipped_to_their_global_norm(tiny, weights, gradients, max_norm: float) -> None:
    """SGD at rate 1 moves by exactly the clipped gradient; the norm that is returned is the one before."""
    model = tiny().model()
    BatchLoss(model).train([BATCH])
    gradient, before = gradients(model), weights(model)
    norm = sqrt(sum(g * g for g in gradient))
    assert norm > max_norm
    update = Update(model, SGD(), grad_clip=max_norm)
    assert update(1.0, 0) == pytest.approx(norm, rel=1e-12)
    moved = [a - b for name, w in weights(model).items() for a, b in zip(before[name], w)]
    assert moved == pytest.approx([g * max_norm / norm for g in gradient], abs=1e-12)
    assert sqrt(sum(m * m for m in moved)) == pytest.approx(max_norm, rel=1e-9)


@pytest.mark.parametrize("max_norm", [None, 1e6])
def test_a_smaller_norm_is_left_alone(tiny, weights, max_norm) -> None:
    clipped, free = tiny().model(), tiny().model()
    assert updated(clipped, SGD(), grad_clip=max_norm) == updated(free, SGD())
    assert weights(clipped) == weights(free)


def test_gradients_are_zero_afterwards(tiny, gradients) -> None:
    model = tiny().model()
    updated(model, AdamW())
    assert set(gradients(model)) == {0.0}


def test_a_norm_that_isnt_finite_moves_nothing(tiny, weights, gradients) -> None:
    model = tiny().model()
    update = Update(model, AdamW())
    update.allocate()
    model.wpe.weight.gradient_value().data[0, 0] = float("nan")
    before = weights(model)
    assert isnan(update(0.1, 0))
    assert weights(model) == before
    assert {x for state in update.buffers().values() for x in flat(state)} == {0.0}
    assert set(gradients(model)) == {0.0}


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), AdamW(weight_decay=0.5)])
@pytest.mark.parametrize("when", ["before", "after"])
def test_frozen_parameters_stay(tiny, weights, optimizer, when: str) -> None:
    """Whether a parameter was frozen before its memory was taken or after."""
    model = tiny().model()
    model.wte.weight.requires_grad = model.block[0].attention.k.weight.requires_grad = False
    if when == "before":
        state = {n: x.tobytes() for n, x in model.state().items()}
        model.allocate("float64")
        for name, x in model.state().items():
            x.cast("B")[:] = state[name]
    before = weights(model)
    updated(model, optimizer)
    changed = {name for name, w in weights(model).items() if w != before[name]}
    assert changed == before.keys() - {"wte.weight", "block.0.attention.k.weight"}


def test_state_is_named_after_its_parameter(tiny) -> None:
    update = Update(tiny().model(), AdamW())
    update.allocate()
    names = list(update.buffers())
    assert names[0] == "wte.weight.m"
    assert names[len(names) // 2] == "wte.weight.v"  # all of one kind, then all of the other
    assert update.buffers()["wpe.weight.v"].shape == (6, 8)
    assert Update(tiny().model(), SGD()).state == {}


class SignUpdate(Op):
    """An update op that a pack might bring."""

    mutates = ("w",)

    def shapes(self, w, grad, factor, lr, step):
        return {}

    def forward(self, w, grad, factor, lr, step):
        for i, g in enumerate(flat(grad)):
            flat(w)[i] -= lr[0] * ((g > 0) - (g < 0))


@dataclass
class Sign(Optimizer):
    name = "sign"
    update = "sign_update"


def test_a_packs_optimizer_brings_its_op(tiny, weights) -> None:
    model = tiny().model()
    before = weights(model)
    updated(model, Sign(), lr=0.5, update_ops={"sign_update": SignUpdate()})
    moves = {round(abs(a - b), 9) for name, w in weights(model).items() for a, b in zip(before[name], w)}
    assert moves <= {0.0, 0.5}
    assert 0.5 in moves


def test_an_unknown_update_op_or_state_is_refused(tiny) -> None:
    with pytest.raises(UnknownNameError, match="unknown update op 'sign_update'"):
        Update(tiny().model(), Sign())
    rows = Sign()
    rows.state = {"m": "row of w"}
    with pytest.raises(
        ConfigurationError, match="'row of w' is unknown; allowed: like w, rows of w, columns of w, one number"
    ):
        Update(tiny().model(), rows, update_ops={"sign_update": SignUpdate()})
