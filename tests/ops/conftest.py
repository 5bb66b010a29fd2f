"""The table of op cases: one place for odd sizes and edge inputs, which drives every test of a contract."""

from typing import Any, NamedTuple

import pytest

from microgpt_core.ops import OPS
from microgpt_core.testing.case import Case, make_case


class Row(NamedTuple):
    """An op with inputs (shapes, numbers, or integers below a bound) and attributes."""

    op: str
    inputs: dict[str, Any]
    attributes: dict[str, Any] = {}

    def case(self, format: str = "d") -> Case:
        return make_case(OPS[self.op], self.inputs, self.attributes, format)


ONE = (1,)
STATE = dict.fromkeys(("w", "grad", "m"), (3, 5)) | {"factor": [0.5], "lr": [0.1], "step": [3.0]}
POSITIVE = [[0.5, 0.1, 2.0, 1.0, 0.3], [0.2, 0.7, 0.9, 1.1, 4.0], [3.0, 0.01, 0.4, 0.6, 0.8]]
PACKED = [[0, 1, 2, 0, 0, 1, 2], [0, 0, 1, 2, 3, 4, 5]]

TABLE = [
    Row("add", {"a": (3, 5), "b": (3, 5)}),
    Row("add", {"a": (2, 3, 7), "b": (7,)}),
    Row("add", {"a": (2, 3, 7), "b": (3, 7)}),
    Row("add", {"a": ONE, "b": ONE}),
    Row("sub", {"a": (3, 5), "b": (3, 5)}),
    Row("mul", {"a": (7,), "b": (7,)}),
    Row("scale", {"x": (3, 5)}, {"factor": -2.5}),
    Row("sum", {"x": (2, 3, 5)}),
    Row("sum", {"x": ONE}),
    Row("mean", {"x": (2, 3, 5)}),
    Row("mean", {"x": ONE}),
    Row("relu", {"x": (3, 7)}),
    Row("relu2", {"x": (2, 1, 11)}),
    Row("softmax", {"x": (3, 7)}),
    Row("softmax", {"x": ONE}),
    Row("matmul", {"a": (3, 5), "b": (5, 7)}),
    Row("matmul", {"a": (1, 1), "b": (1, 1)}),
    Row("linear", {"x": (3, 5), "weight": (7, 5)}),
    Row("linear", {"x": (2, 3, 5), "weight": (7, 5), "bias": (7,)}),
    Row("linear", {"x": (5,), "weight": (1, 5), "bias": ONE}),
    Row("rmsnorm", {"x": (3, 5)}),
    Row("rmsnorm", {"x": (2, 3, 7), "weight": (7,)}),
    Row("rmsnorm", {"x": (5,), "weight": (5,)}, {"eps": 0.1}),
    Row("rmsnorm", {"x": (3, 1), "weight": ONE}),
    Row("layernorm", {"x": (3, 5)}),
    Row("layernorm", {"x": (2, 3, 7), "weight": (7,), "bias": (7,)}),
    Row("layernorm", {"x": (5,), "bias": (5,)}, {"eps": 0.1}),
    Row("layernorm", {"x": (3, 1), "weight": ONE}),
    Row("gelu", {"x": (3, 7)}),
    Row("gelu_tanh", {"x": (2, 1, 11)}),
    Row("silu", {"x": (3, 7)}),
    Row("sigmoid", {"x": (7,)}),
    Row("tanh", {"x": ONE}),
    Row("swiglu", {"x": (2, 3, 5), "gate": (2, 3, 5)}),
    Row("rope", {"x": (2, 3, 12), "positions": [[0, 1, 2], [5, 0, 300]]}, {"n_head": 3}),
    Row("rope", {"x": (1, 1, 2), "positions": [[7]]}, {"n_head": 1, "theta": 100.0}),
    Row("sinusoidal", {"x": (2, 3, 5), "positions": [[0, 1, 2], [5, 0, 300]]}),
    Row("dropout", {"x": (2, 3, 5), "noise": [1, 2, 3]}, {"p": 0.4, "stream": 7}),
    Row("dropout", {"x": (3,), "noise": [-1, 0, 0]}, {"p": 0.0}),
    Row("embedding", {"ids": [[0, 2, 2], [6, 1, 2]], "weight": (7, 5)}),
    Row("embedding", {"ids": [0], "weight": (1, 1)}),
    Row("attention", {"q": (2, 7, 6), "k": (2, 7, 6), "v": (2, 7, 6)}, {"n_head": 3}),
    Row("attention", {"q": (1, 8, 4), "k": (1, 8, 4), "v": (1, 8, 4)}, {"n_head": 2}),
    Row("attention", {"q": (1, 1, 1), "k": (1, 1, 1), "v": (1, 1, 1)}, {"n_head": 1}),
    Row("attention", {"q": (2, 7, 5), "k": (2, 7, 5), "v": (2, 7, 5), "positions": PACKED}, {"n_head": 1}),
    Row("attention", {"q": (2, 2, 6), "k": (2, 7, 6), "v": (2, 7, 6), "start": [5, 2]}, {"n_head": 2}),
    Row("attention", {"q": (1, 5, 12), "k": (1, 5, 6), "v": (1, 5, 6)}, {"n_head": 4}),
    Row("attention", {"q": (2, 7, 6), "k": (2, 7, 2), "v": (2, 7, 2), "positions": PACKED}, {"n_head": 3, "window": 3}),
    Row("attention", {"q": (1, 67, 2), "k": (1, 67, 1), "v": (1, 67, 1)}, {"n_head": 2, "window": 65}),
    Row("attention", {"q": (1, 3, 2), "k": (1, 131, 2), "v": (1, 131, 2), "start": [127]}, {"n_head": 1}),
    Row("cross_entropy", {"logits": (4, 7), "targets": [0, 6, 3, 3]}),
    Row("cross_entropy", {"logits": (2, 3, 5), "targets": [[0, -1, 4], [2, 2, -1]]}, {"label_smoothing": 0.1}),
    Row("cross_entropy", {"logits": (4, 7), "targets": [0, -1, 3, 3], "scale": [0.125]}),
    Row("cross_entropy", {"logits": (2, 1), "targets": [0, 0]}),
    Row("global_norm", {"grads": (3, 5)}),
    Row("clip_factor", {"norm": [4.0]}, {"max_norm": 1.0}),
    Row("ones_like", {"x": (3, 5)}),
    Row("zero", {"x": (3, 5)}),
    Row("cache_write", {"cache": (2, 7, 3), "x": (2, 2, 3), "start": [5, 0]}),
    Row("sgd_update", {n: s for n, s in STATE.items() if n != "m"}),
    Row("sgd_update", STATE, {"momentum": 0.9}),
    Row("sgd_update", STATE, {"momentum": 0.9, "nesterov": True}),
    Row("adam_update", STATE | {"v": POSITIVE}),
    Row("adamw_update", STATE | {"v": POSITIVE}, {"weight_decay": 0.1}),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `row` runs on every row of the table."""
    if "row" in metafunc.fixturenames:
        ids = [f"{row.op}-{i}" for i, row in enumerate(TABLE)]
        metafunc.parametrize("row", TABLE, ids=ids)
