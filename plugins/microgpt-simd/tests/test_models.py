"""Whole models at each level: the loss and every gradient as the reference has them in float64."""

from array import array
from functools import cache
from math import isclose
from random import Random
from typing import Any

import pytest

from microgpt_core.components import flat, write
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.text.batch import Batch
from microgpt_core.text.batches import Batches
from microgpt_core.training.loss import BatchLoss

STD = 0.3  # nothing small, nothing zero: every path through a block counts
SMALL = {"init_std": STD, "init_output_std": STD, "vocab_size": 27}
MODELS: dict[str, dict[str, Any]] = {
    "e16": {**SMALL, "n_embd": 16, "n_layer": 1, "n_head": 4, "block_size": 8},
    "llama": {**PRESETS["llama-tiny"].fields, **SMALL, "n_embd": 48, "n_layer": 1, "n_head": 4, "n_kv_head": 2,
              "block_size": 19},
    "gpt2": {**PRESETS["gpt2"].fields, **SMALL, "n_embd": 40, "n_layer": 1, "n_head": 4, "block_size": 17},
}  # fmt: skip
LIMIT = 1e-5  # of the largest number in a gradient's row


def lively(member: str, precision: str) -> GPT:
    """A model with the same weights in either precision."""
    model = GPT(**MODELS[member])
    model.allocate(precision)
    rng = Random(7)
    for parameter in model.parameters():
        centre = parameter.mean if parameter.std is None else 0.0
        # array("f"): numbers that float32 has, so that both have the same.
        write(parameter.data, array("f", [rng.gauss(centre, STD) for _ in range(parameter.value.size)]))
    return model


def batch_for(member: str) -> Batch:
    rng = Random(2)
    documents = [[rng.randrange(27) for _ in range(rng.randrange(2, 30))] for _ in range(40)]
    size = MODELS[member]["block_size"]
    return Batches(documents, batching="packed", batch_size=3, block_size=size, seed=1, rng=rng, bos=None).batch(0)


Trained = tuple[float, dict[str, tuple[int, list[float]]]]  # the loss; by name a gradient's width and its numbers


def trained(member: str, kernels: Kernels, precision: str) -> Trained:
    model = lively(member, precision)
    loss = BatchLoss(model, kernels=kernels).train([batch_for(member)])
    return loss, {p.name: (p.grad.shape[-1], flat(p.grad.data).tolist()) for p in model.parameters()}


@cache
def expected(member: str) -> Trained:
    return trained(member, REFERENCE, "float64")


def differing(found: Trained, true: Trained) -> list[str]:
    """What isn't within the limit: the loss, or the gradients of these parameters."""
    names = [] if isclose(found[0], true[0], rel_tol=LIMIT) else ["loss"]
    for name, (width, numbers) in true[1].items():
        mine = found[1][name][1]
        for i in range(0, len(numbers), width):
            row = numbers[i : i + width]
            # The keys' bias moves no score's share: its gradient cancels to nothing.
            largest = max(max(map(abs, row)), 1e-2 if width == len(numbers) else 0.0)
            if any(abs(a - b) > LIMIT * largest for a, b in zip(mine[i : i + width], row)):
                names.append(name)
                break
    return names


@pytest.mark.parametrize("member", MODELS)
def test_loss_and_gradients_are_the_references(member: str, level: str, kernels: Kernels) -> None:
    assert differing(trained(member, kernels, "float32"), expected(member)) == []


def test_planted_an_epsilon_twice_too_large_is_found(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: norms whose epsilon is 2e-5 in the place of 1e-5."""
    norm = type(kernels.table["simd/rmsnorm"])
    prepare = norm.prepare

    def off(self: Any, method: str, views: Any, attributes: Any, workspace: Any) -> Any:
        return prepare(self, method, views, {n: v if n != "eps" else 2 * v for n, v in attributes.items()}, workspace)

    monkeypatch.setattr(norm, "prepare", off)
    assert differing(trained("e16", kernels, "float32"), expected("e16"))
