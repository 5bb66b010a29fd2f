"""No kernel reads or writes beyond its buffers: each lies between pages that the process may not touch.

Once it ends where the second page begins, once it begins where the first one ends, once 4 bytes later, unaligned. Sizes
1 to 67 go over every vector, tile and tail, larger products over the borders of packing, and three threads over theirs.
"""

import ctypes
import mmap
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from microgpt_core.components import Buffer
from microgpt_core.engine.backends import Kernels
from microgpt_core.testing import case as cases
from microgpt_core.testing.case import Given, make_case
from microgpt_core.testing.red_zones import Guarded
from microgpt_simd.linear_packed import panels
from microgpt_simd.ops import KERNELS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to protect a page")
PAGE = mmap.PAGESIZE
PLACES = ("end", "begin", "unaligned")
PRODUCTS = {"linear", "linear_bfloat16", "linear_packed", "linear_packed_bfloat16", "linear_qkv", "linear_qkv_bfloat16"}
PRODUCTS |= {"activated_linear", "activated_linear_bfloat16", "matmul"}
PRODUCTS |= {"pack_weight", "pack_weight_bfloat16"}  # what they are packed by
UNARY = ("relu", "relu2", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh", "softmax", "sum", "mean", "ones_like")
EVERY_OP = set(KERNELS) - {"clip_factor"}  # which is of one number each


def between_pages(buffer: Buffer, place: str) -> Buffer:
    """A copy that has a page before it and one after it that nobody may read or write, one of them right beside it."""
    shift = 4 if place == "unaligned" and buffer.format != "B" else 0  # of bytes is the workspace, always aligned
    room = -(-(buffer.nbytes + shift) // PAGE) * PAGE
    memory = mmap.mmap(-1, PAGE + room + PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (start, start + PAGE + room):
        protect(page)
    at = PAGE + room - buffer.nbytes if place == "end" else PAGE + shift
    copied = Buffer(memory)[at : at + buffer.nbytes].cast(buffer.format, buffer.shape)
    copied.cast("B")[:] = buffer.cast("B")
    return copied


def protect(page: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0):
        raise OSError(ctypes.get_errno(), "mprotect")


@pytest.fixture
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Cases have their buffers there."""

    def guard(buffers: dict[str, Buffer | None], fill: int = 0, shift: int = 0) -> Guarded:
        """As red_zones.guard: one buffer under two names stays one."""
        made = {id(b): between_pages(b, request.param) for b in buffers.values() if b is not None}
        return Guarded({n: None if b is None else made[id(b)] for n, b in buffers.items()}, [], b"")

    monkeypatch.setattr(cases, "guard", guard)
    return str(request.param)


def shapes(n: int, many: int = 1) -> Iterator[tuple[str, dict[str, Given], dict[str, Any]]]:
    """For each op buffers in which some axis has n numbers, and attributes; `many` times as many rows."""
    for op in UNARY:
        yield op, {"x": (2 * many, n)}, {}
    for op in ("add", "sub", "mul"):
        yield op, {"a": (2 * many, n), "b": (2 * many, n)}, {}
    yield "add", {"a": (3 * many, n), "b": (n,)}, {}
    yield "scale", {"x": (many * n,)}, {"factor": 0.5}
    yield "swiglu", {"x": (2 * many, n), "gate": (2 * many, n)}, {}
    yield "zero", {"x": (many * n,)}, {}
    yield "rmsnorm", {"x": (2 * many, n), "weight": (n,)}, {}
    yield "layernorm", {"x": (2 * many, n), "weight": (n,), "bias": (n,)}, {}
    yield "add_rmsnorm", {"a": (2 * many, n), "b": (2 * many, n), "weight": (n,)}, {}
    yield "add_layernorm", {"a": (2 * many, n), "b": (2 * many, n), "weight": (n,), "bias": (n,)}, {}
    for rows, inner, columns in ((3, n, 5), (n, 3, 5), (2, 3, n), (n, n, n)):
        yield from products(rows * many, inner, columns)
    yield "embedding", {"ids": ((2 * many, 3), range(4)), "weight": (4, n)}, {}
    yield "embedding", {"ids": ((many * n,), range(4)), "weight": (4, 3)}, {}
    yield "cross_entropy", {"logits": (2 * many, n), "targets": ((2 * many,), range(n))}, {}
    yield "cross_entropy", {"logits": (many, 120 + n), "targets": ((many,), range(n))}, {}
    fused = {"x": (2 * many, 5), "weight": (n, 5), "targets": ((2 * many,), range(n)), "weight_gradient": (n, 5)}
    yield "linear_cross_entropy", dict(fused), {}
    yield "linear_cross_entropy", dict(fused), {"bfloat16": True}
    yield "dropout", {"x": (2 * many, n), "noise": [1, 2, 3]}, {"p": 0.5}
    yield "rope", {"x": (many, 2, 4 * n), "positions": ((many, 2), range(9))}, {"n_head": 2}
    yield "rope", {"x": (many, n, 4), "positions": ((many, n), range(9))}, {"n_head": 1}
    yield "sinusoidal", {"x": (2 * many, n), "positions": ((2 * many,), range(9))}, {}
    for op in ("attention", "attention_bfloat16"):
        yield op, {"q": (many, n, 8), "k": (many, n, 8), "v": (many, n, 8)}, {"n_head": 2}
        yield op, {"q": (many, 3, 2 * n), "k": (many, 3, n), "v": (many, 3, n)}, {"n_head": 2}
        yield op, {"q": (many, n, 8), "k": (many, n, 8), "v": (many, n, 8)}, {"n_head": 2, "window": 5}
        yield op, {"q": (many, 1, 4), "k": (many, n, 4), "v": (many, n, 4), "start": [n - 1] * many}, {"n_head": 2}
    yield "cache_write", {"cache": (many, n + 2, 3), "x": (many, n, 3), "start": [1] * many}, {}
    asked = {"logits": (2 * many, n), "chance": ((2 * many,), range(2**31))}
    for settings in ({}, {"temperature": 0.0}, {"temperature": 0.7, "top_k": 3}, {"top_p": 0.9}):
        yield "sample", dict(asked), settings
    yield "global_norm", {"grads": (many * n,)}, {}
    state = dict.fromkeys(("w", "grad", "m"), (many * n,)) | {"factor": (1,), "lr": (1,), "step": [3.0]}
    yield "sgd_update", dict(state), {"momentum": 0.9, "nesterov": True}
    for op in ("adam_update", "adamw_update"):
        yield op, {**state, "v": [0.5] * (many * n)}, {}


def products(rows: int, inner: int, columns: int) -> Iterator[tuple[str, dict[str, Given], dict[str, Any]]]:
    x, bias = (rows, inner), (columns,)
    for op in ("linear", "linear_bfloat16"):
        yield op, {"x": x, "weight": (columns, inner), "bias": bias}, {}
        yield f"activated_{op}", {"x": x, "weight": (columns, inner), "bias": bias}, {"activation": "gelu"}
    weights = {"w_q": (columns, inner), "w_k": (2, inner), "w_v": (columns, inner)}
    for op in ("linear_qkv", "linear_qkv_bfloat16"):
        yield op, {"x": x, **weights, "b_q": bias, "b_k": (2,), "b_v": bias}, {}
    for op in ("pack_weight", "pack_weight_bfloat16"):
        yield op, {"weight": (columns, inner)}, {}
    one, two = panels(columns, inner), panels(columns, -(-inner // 2))
    yield "linear_packed", {"x": x, "packed": one, "bias": bias}, {"n_out": columns}
    yield "linear_packed_bfloat16", {"x": x, "packed": (two, range(9)), "bias": bias}, {"n_out": columns}
    yield "matmul", {"a": (rows, inner), "b": (inner, columns)}, {}


def run_all(given: Iterator[tuple[str, dict[str, Given], dict[str, Any]]], kernels: Kernels) -> set[str]:
    """Run ops forward and backward; their names."""
    tried = set()
    for name, inputs, attributes in given:
        made = make_case(KERNELS[name].op, inputs, attributes, "f", 1)
        case = cases.Case(made.op, made.inputs, made.attributes, kernels)
        for method in case.methods:
            case.bind(method).run()
        tried.add(name)
    return tried


@pytest.mark.parametrize("place", ["end"], indirect=True)
@pytest.mark.parametrize("n", [*range(1, 10), 15, 16, 17, 31, 33, 63, 65, 67])
def test_no_kernel_goes_beyond_the_end_of_a_buffer(n: int, place: str, level: str, kernels: Kernels) -> None:
    assert run_all(shapes(n), kernels) == EVERY_OP


@pytest.mark.parametrize("place", ["begin", "unaligned"], indirect=True)
@pytest.mark.parametrize("n", [1, 7, 17, 67])
def test_no_kernel_goes_before_the_beginning_of_a_buffer(n: int, place: str, level: str, kernels: Kernels) -> None:
    assert run_all(shapes(n), kernels) == EVERY_OP


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("n", range(1, 68))
def test_no_kernel_leaves_its_buffers_at_any_size(n: int, place: str, level: str, kernels: Kernels) -> None:
    assert run_all(shapes(n), kernels) == EVERY_OP


# Over the stretches of k, the columns and the rows that are packed at a time, forward and backward; and with few rows.
LARGE = [(97, 513, 530), (600, 531, 261), (5, 1030, 1030), (3, 1030, 1030)]


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("n_threads", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_no_packed_product_leaves_its_buffers(
    n_threads: int, place: str, level: str, kernels: Kernels, threads: Callable[[int], None]
) -> None:
    threads(n_threads)
    for sizes in LARGE:
        assert run_all(products(*sizes), kernels) == PRODUCTS


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_no_worker_leaves_its_buffers(place: str, level: str, kernels: Kernels, threads: Callable[[int], None]) -> None:
    """So many rows that three threads share the work of every op that is shared."""
    threads(3)
    assert run_all(shapes(33, 1100), kernels) == EVERY_OP


@pytest.mark.parametrize(("place", "inside", "outside"), [("end", 24, 28), ("begin", 0, -4), ("unaligned", 0, -8)])
def test_planted_a_read_beyond_the_buffer_ends_the_process(place: str, inside: int, outside: int) -> None:
    """The control: one number too many is read, and the system ends the process that did it."""
    code = (
        "import ctypes, test_guard_pages as t; from microgpt_core.components import new_buffer\n"
        f"b = t.between_pages(new_buffer((7,)), {place!r}); at = ctypes.addressof(ctypes.c_char.from_buffer(b))\n"
        f"print(ctypes.c_float.from_address(at + {inside}).value, flush=True)\n"
        f"ctypes.c_float.from_address(at + {outside}).value\n"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.returncode) == ("0.0\n", -11), done.stderr
