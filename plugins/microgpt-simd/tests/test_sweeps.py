"""Updates of parameters that follow one another in memory are made in one sweep: the same bits, and nothing besides."""

from array import array
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from microgpt_core.components import flat, write
from microgpt_core.engine.backends import Kernels
from microgpt_core.models.gpt import GPT
from microgpt_core.training.optimizers import SGD, Adam, AdamW
from microgpt_core.training.update import Update
from microgpt_simd.backend import Simd
from microgpt_simd.native import Program

OPTIMIZERS = {
    "adamw": (AdamW(lr=0.01, weight_decay=0.1), 2),  # matrices decay, vectors don't
    "adam": (Adam(lr=0.01), 1),
    "sgd": (SGD(lr=0.01), 1),
    "momentum": (SGD(lr=0.01, momentum=0.9, nesterov=True), 1),
}


class OneByOne(Simd):
    """The same kernels, called from Python."""

    def join(self, runs: Any) -> Any:
        return runs


def trained(optimizer: Any, kernels: Kernels) -> tuple[dict[str, bytes], Update]:
    """Every weight and every number of state after three steps, on gradients that were drawn."""
    model = GPT(vocab_size=5, block_size=3, n_layer=1, n_head=1, n_embd=3, norm="layernorm", bias=True, norm_bias=True)
    model.allocate()
    model.initialise(Random(1))
    update, rng = Update(model, optimizer, kernels=kernels), Random(2)
    update.allocate()
    for step in range(3):
        for p in update.trained:
            write(p.grad.data, [rng.gauss(0, 1) for _ in range(p.value.size)])
        update(0.01, step)
    return {name: flat(x).tobytes() for name, x in (model.state() | update.buffers()).items()}, update


def programs(update: Update) -> list[Program]:
    return [run for run in update.plan.replay_for(*update.inputs()).program if isinstance(run, Program)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_sweep_gives_the_bits_of_many_calls(name: str, level: str, kernels: Kernels) -> None:
    optimizer, n_sweeps = OPTIMIZERS[name]
    swept, update = trained(optimizer, kernels)
    apart, other = trained(optimizer, replace(kernels, backends=[OneByOne()]))
    assert swept == apart
    assert sum(len(program.wide) for program in programs(update)) == n_sweeps
    assert programs(other) == []


@pytest.mark.parametrize(("gap", "between"), [(0, 0.0), (1, 0.0), (16, 0.0), (0, 0.5)])
def test_only_what_follows_is_swept(gap: int, between: float, kernels: Kernels) -> None:
    """Two parameters of five numbers, the second right behind the first's cache line, or `gap` numbers later.

    Where the line's rest isn't zeros it is somebody's.
    """
    store = {name: array("f", [0.5] * 96) for name in ("w", "grad", "m")}
    for x in store.values():
        x[5 : 16 + gap] = array("f", [between] * (11 + gap))
    before = {name: x.tolist() for name, x in store.items()}
    one, calls = {"factor": array("f", [1.0]), "lr": array("f", [0.1]), "step": array("f", [0.0])}, []
    kernel = kernels.table["simd/sgd_update"]
    for at in (0, 16 + gap):
        views: dict[str, Any] = {n: memoryview(x)[at : at + 5] for n, x in store.items()}
        views = {n: (views | {k: memoryview(x) for k, x in one.items()})[n] for n in kernel.op.signature.forward}  # type: ignore[attr-defined]
        calls.append(kernel.prepare("forward", views, {"momentum": 0.9, "nesterov": False}, None))
    program = Program(calls)
    program()
    assert len(program.wide) == (gap == 0 and between == 0)
    changed = {i for i, (x, old) in enumerate(zip(store["w"], before["w"])) if x != old}
    assert changed == {*range(5), *range(16 + gap, 21 + gap)}


def test_other_settings_are_not_swept(kernels: Kernels) -> None:
    """The planted mistake would be to take only the first call's attributes."""
    optimizer = AdamW(lr=0.01, weight_decay=0.1)
    _, update = trained(optimizer, kernels)
    decays = {call.attributes["weight_decay"] for call in update.plan.plan.calls if call.op.name == "adamw_update"}
    assert len(decays) == sum(len(program.wide) for program in programs(update)) == 2
