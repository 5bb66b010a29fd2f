"""Sums keep their digits whatever their length: up to 100,000 terms, within 1e-6 of the same in double precision.

All terms of a sum have one sign here, so that its size is the sum of their sizes; "1e-6" is of the largest such sum.
"""

from array import array
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest

from microgpt_core.components import flat
from microgpt_core.engine.backends import Kernels
from microgpt_core.testing.case import Case, Given, make_case
from microgpt_simd.kernel import NativeKernel
from microgpt_simd.ops import KERNELS

LONG, ROWS, VOCABULARY = 100_000, 25_000, 50_257
EQUAL = [0.1] * LONG  # what is lost is lost in the same direction every time
BETWEEN = [1 + i % 97 / 97 for i in range(LONG)]
LOGITS = [[0.0, *[-1.1] * (VOCABULARY - 1)]]
NORMED = {"x": [BETWEEN]}
COLUMNS = {"x": [[0.5, 1.0, 3.0]] * ROWS, "weight": [1.0, 2.0, 3.0]}
SUMS: dict[str, tuple[str, dict[str, Given]]] = {
    "sum": ("sum", {"x": EQUAL}),
    "mean": ("mean", {"x": EQUAL}),
    "softmax": ("softmax", {"x": LOGITS}),
    "softmax of random logits": ("softmax", {"x": (2, VOCABULARY)}),
    "cross_entropy": ("cross_entropy", {"logits": LOGITS, "targets": [7]}),
    "cross_entropy of random logits": ("cross_entropy", {"logits": (2, VOCABULARY), "targets": [7, 9]}),
    "rmsnorm": ("rmsnorm", NORMED),
    "layernorm": ("layernorm", NORMED),
    "rmsnorm of many rows": ("rmsnorm", COLUMNS),
    "layernorm of many rows": ("layernorm", {**COLUMNS, "bias": [1.0, 1.0, 1.0]}),
    "add to many rows": ("add", {"a": (ROWS, 2), "b": [1.0, 1.0]}),
    "linear of many rows": ("linear", {"x": [[0.5, 1.0]] * ROWS, "weight": [[0.1, 0.2]], "bias": [1.0]}),
    "global_norm": ("global_norm", {"grads": EQUAL}),
}


@lru_cache(1)
def exact(name: str) -> tuple[Case, dict[str, list[float]]]:
    """The case, and what forward and backward make of it in double precision."""
    op, given = SUMS[name]
    made = make_case(KERNELS[op].op, given, {}, "f", 1)
    case = Case(made.op, made.inputs, made.attributes, unsigned=True)
    return case, results(case.exact())


def results(case: Case) -> dict[str, list[float]]:
    found = {}
    for method in case.methods:
        after = case.bind(method).once().after
        found |= {name: flat(after[name]).tolist() for name in case.written(method)}  # type: ignore[arg-type]
    return found


def errors(name: str, kernels: Kernels) -> dict[str, float]:
    """The largest error in each buffer, as a share of the buffer's largest number."""
    case, true = exact(name)
    mine = results(Case(case.op, case.inputs, case.attributes, kernels, unsigned=True))
    return {n: max(abs(a - b) for a, b in zip(mine[n], true[n])) / max(map(abs, true[n])) for n in true}


@pytest.mark.parametrize("name", SUMS)
def test_a_long_sum_keeps_its_digits(name: str, level: str, kernels: Kernels) -> None:
    assert {n: error for n, error in errors(name, kernels).items() if not error <= 1e-6} == {}


def test_planted_a_sum_in_one_float_a_lane_is_found(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(self: NativeKernel, method: str, views: Any, attributes: Any, workspace: Any) -> Callable[[], object]:
        def run() -> None:
            lanes = array("f", [0.0] * 16)
            for i, x in enumerate(views["x"]):
                lanes[i % 16] += x
            views["out"][0] = sum(lanes)

        return run if method == "forward" else (lambda: None)

    monkeypatch.setattr(type(kernels.table["simd/sum"]), "prepare", prepare)
    assert errors("sum", kernels)["out"] > 1e-6
