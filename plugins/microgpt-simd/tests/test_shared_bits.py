"""Every op on so many numbers that its work is shared: the same bytes for any number of threads."""

from collections.abc import Callable
from typing import Any

import pytest

from microgpt_core.engine.backends import Kernels
from microgpt_core.testing.case import Case, Given, make_case
from microgpt_simd.kernel import NativeKernel
from microgpt_simd.ops import KERNELS

ROWS, WIDTH = 701, 101  # odd, and more numbers than one worker gets
STATE: dict[str, Given] = {"w": (70_001,), "grad": (70_001,), "factor": (1,), "lr": (1,), "step": [3.0], "m": (70_001,)}
SHARED: dict[str, tuple[dict[str, Given], dict[str, Any]]] = {
    **{op: ({"x": (ROWS, WIDTH)}, {}) for op in ("relu", "relu2", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh")},
    **{op: ({"a": (ROWS, WIDTH), "b": (ROWS, WIDTH)}, {}) for op in ("sub", "mul")},
    "softmax": ({"x": (ROWS, WIDTH)}, {}),
    "sum": ({"x": (ROWS, WIDTH)}, {}),
    "mean": ({"x": (ROWS, WIDTH)}, {}),
    "scale": ({"x": (ROWS, WIDTH)}, {"factor": 0.7}),
    "add": ({"a": (ROWS, WIDTH), "b": (WIDTH,)}, {}),
    "swiglu": ({"x": (ROWS, WIDTH), "gate": (ROWS, WIDTH)}, {}),
    "rmsnorm": ({"x": (ROWS, WIDTH), "weight": (WIDTH,)}, {}),
    "layernorm": ({"x": (ROWS, WIDTH), "weight": (WIDTH,), "bias": (WIDTH,)}, {}),
    "add_rmsnorm": ({"a": (ROWS, WIDTH), "b": (ROWS, WIDTH), "weight": (WIDTH,)}, {}),
    "add_layernorm": ({"a": (ROWS, WIDTH), "b": (ROWS, WIDTH), "weight": (WIDTH,), "bias": (WIDTH,)}, {}),
    "linear": ({"x": (130, 300), "weight": (75, 300), "bias": (75,)}, {}),
    "linear_bfloat16": ({"x": (130, 300), "weight": (75, 300), "bias": (75,)}, {}),
    **{
        f"activated_{op}": ({"x": (130, 300), "weight": (75, 300), "bias": (75,)}, {"activation": "gelu"})
        for op in ("linear", "linear_bfloat16")
    },
    **{
        op: ({"x": (131, 300), "w_q": (75, 300), "w_k": (30, 300), "w_v": (75, 300), "b_v": (75,)}, {})
        for op in ("linear_qkv", "linear_qkv_bfloat16")
    },
    "pack_weight": ({"weight": (301, 300)}, {}),
    "pack_weight_bfloat16": ({"weight": (301, 301)}, {}),
    "linear_packed": ({"x": (13, 300), "packed": (7, 300, 48), "bias": (301,)}, {"n_out": 301}),
    "linear_packed_bfloat16": (
        {"x": (13, 301), "packed": ((7, 151, 48), range(0x3F803F00, 0x40004000, 0x10001)), "bias": (301,)},
        {"n_out": 301},
    ),
    "linear_cross_entropy": (
        {"x": (ROWS, 60), "weight": (WIDTH, 60), "targets": ((ROWS,), range(WIDTH)), "weight_gradient": (WIDTH, 60)},
        {"bfloat16": True},
    ),
    "matmul": ({"a": (130, 300), "b": (300, 75)}, {}),
    "embedding": ({"ids": ((2100,), range(40)), "weight": (40, WIDTH)}, {}),
    "cross_entropy": ({"logits": (ROWS, WIDTH), "targets": ((ROWS,), range(WIDTH))}, {"label_smoothing": 0.1}),
    "dropout": ({"x": (ROWS, WIDTH), "noise": [1, 2, 3]}, {"p": 0.3}),
    "rope": ({"x": (2, 350, 104), "positions": ((2, 350), range(350))}, {"n_head": 4}),
    "sinusoidal": ({"x": (ROWS, WIDTH), "positions": ((ROWS,), range(99))}, {}),
    "attention": ({"q": (2, 150, 48), "k": (2, 150, 24), "v": (2, 150, 24)}, {"n_head": 4}),
    "attention_bfloat16": ({"q": (2, 151, 48), "k": (2, 151, 24), "v": (2, 151, 24)}, {"n_head": 4}),
    "sample": (
        {"logits": (ROWS, WIDTH), "chance": ((ROWS,), range(2**31))},
        {"temperature": 0.8, "top_k": 40, "top_p": 0.9},
    ),
    "global_norm": ({"grads": (70_001,)}, {}),
    "sgd_update": (STATE, {"momentum": 0.9}),
    **{op: ({**STATE, "v": [0.5] * 70_001}, {}) for op in ("adam_update", "adamw_update")},
}  # fmt: skip
ALONE = {"zero", "ones_like", "cache_write", "clip_factor"}  # copies and single numbers
THREADS = (1, 2, 3, 8)


def results(case: Case) -> list[bytes]:
    """What forward and backward leave, byte by byte."""
    found = []
    for method in case.methods:
        after = case.bind(method).once().after
        found += [after[name].tobytes() for name in case.written(method)]  # type: ignore[union-attr]
    return found


def differing(case: Case, threads: Callable[[int], None]) -> list[int]:
    """The numbers of threads whose bits aren't those of one."""
    found = {}
    for n in THREADS:
        threads(n)
        found[n] = results(case)
    return [n for n in THREADS if found[n] != found[1]]


def test_every_op_is_tried() -> None:
    assert set(SHARED) | ALONE == set(KERNELS)


@pytest.mark.parametrize("op", SHARED)
def test_any_number_of_threads_gives_the_same_bits(op: str, kernels: Kernels, threads: Callable[[int], None]) -> None:
    given, attributes = SHARED[op]
    made = make_case(KERNELS[op].op, given, attributes, "f", 1)
    assert differing(Case(made.op, made.inputs, made.attributes, kernels), threads) == []


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("op", ["linear", "linear_bfloat16"])
def test_few_rows_share_their_columns(op: str, rows: int, kernels: Kernels, threads: Callable[[int], None]) -> None:
    """Products that pack nothing, over more than one stretch of k."""
    made = make_case(KERNELS[op].op, {"x": (rows, 1100), "weight": (301, 1100), "bias": (301,)}, {}, "f", 1)
    assert differing(Case(made.op, made.inputs, made.attributes, kernels), threads) == []


def test_planted_a_sum_that_is_shared_is_found(
    kernels: Kernels, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A norm of rounded partial sums, as many more as there are threads: other bits for other numbers."""
    from microgpt_simd.threads import asked_threads

    def prepare(self: NativeKernel, method: str, views: Any, attributes: Any, workspace: Any) -> Callable[[], object]:
        norm, grads = views["norm"], views["grads"]

        def run() -> None:
            n = 97 * asked_threads()
            parts = [sum(x * x for x in grads[i::n].tolist()) for i in range(n)]
            rounded = 0.0
            for part in parts:
                norm[0] = rounded + part
                rounded = norm[0]

        return run

    monkeypatch.setattr(type(kernels.table["simd/global_norm"]), "prepare", prepare)
    made = make_case(KERNELS["global_norm"].op, SHARED["global_norm"][0], {}, "f", 1)
    assert differing(Case(made.op, made.inputs, made.attributes, kernels), threads)
