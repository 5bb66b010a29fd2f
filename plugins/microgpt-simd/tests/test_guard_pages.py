"""No kernel reads or writes beyond its buffers: each ends where a page begins that the process may not touch.

Sizes 1 to 67 go over every vector, tile and tail; the buffers begin wherever that leaves them, aligned or not.
"""

import ctypes
import mmap
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.components import Buffer
from microgpt_core.engine.backends import Kernels
from microgpt_core.testing import case as cases
from microgpt_core.testing.case import Given, make_case
from microgpt_core.testing.red_zones import Guarded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to protect a page")
PAGE = mmap.PAGESIZE
UNARY = ("relu", "relu2", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh", "softmax", "sum", "mean", "ones_like")


def at_the_edge(buffer: Buffer) -> Buffer:
    """A copy that ends where a page begins that nobody may read or write."""
    pages = -(-buffer.nbytes // PAGE) * PAGE
    memory = mmap.mmap(-1, pages + PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(start + pages), ctypes.c_size_t(PAGE), 0):
        raise OSError(ctypes.get_errno(), "mprotect")
    copied = Buffer(memory)[pages - buffer.nbytes : pages].cast(buffer.format, buffer.shape)
    copied.cast("B")[:] = buffer.cast("B")
    return copied


def guard(buffers: dict[str, Buffer | None], fill: int = 0, shift: int = 0) -> Guarded:
    """As red_zones.guard: one buffer under two names stays one."""
    made = {id(b): at_the_edge(b) for b in buffers.values() if b is not None}
    return Guarded({n: None if b is None else made[id(b)] for n, b in buffers.items()}, [], b"")


def shapes(n: int) -> Iterator[tuple[str, dict[str, Given], dict[str, Any]]]:
    """For each op buffers in which some axis has n numbers, and attributes."""
    for op in UNARY:
        yield op, {"x": (2, n)}, {}
    for op in ("add", "sub", "mul"):
        yield op, {"a": (2, n), "b": (2, n)}, {}
    yield "add", {"a": (3, n), "b": (n,)}, {}
    yield "scale", {"x": (n,)}, {"factor": 0.5}
    yield "swiglu", {"x": (2, n), "gate": (2, n)}, {}
    yield "zero", {"x": (n,)}, {}
    yield "rmsnorm", {"x": (2, n), "weight": (n,)}, {}
    yield "layernorm", {"x": (2, n), "weight": (n,), "bias": (n,)}, {}
    for x, weight in (((3, n), (5, n)), ((n, 3), (5, 3)), ((2, 3), (n, 3)), ((n, n), (n, n))):
        yield "linear", {"x": x, "weight": weight, "bias": weight[:1]}, {}
        yield "matmul", {"a": x, "b": weight[::-1]}, {}
    yield "embedding", {"ids": ((2, 3), range(4)), "weight": (4, n)}, {}
    yield "embedding", {"ids": ((n,), range(4)), "weight": (4, 3)}, {}
    yield "cross_entropy", {"logits": (2, n), "targets": ((2,), range(n))}, {}
    yield "dropout", {"x": (2, n), "noise": [1, 2, 3]}, {"p": 0.5}
    yield "rope", {"x": (1, 2, 4 * n), "positions": ((1, 2), range(9))}, {"n_head": 2}
    yield "rope", {"x": (1, n, 4), "positions": ((1, n), range(9))}, {"n_head": 1}
    yield "sinusoidal", {"x": (2, n), "positions": ((2,), range(9))}, {}
    yield "attention", {"q": (1, n, 8), "k": (1, n, 8), "v": (1, n, 8)}, {"n_head": 2}
    yield "attention", {"q": (1, 3, 2 * n), "k": (1, 3, n), "v": (1, 3, n)}, {"n_head": 2}
    yield "attention", {"q": (1, 1, 4), "k": (1, n, 4), "v": (1, n, 4), "start": [n - 1]}, {"n_head": 2}
    yield "cache_write", {"cache": (1, n + 2, 3), "x": (1, n, 3), "start": [1]}, {}
    yield "global_norm", {"grads": (n,)}, {}
    state = {"w": (n,), "grad": (n,), "factor": (1,), "lr": (1,), "step": [3.0], "m": (n,)}
    yield "sgd_update", dict(state), {"momentum": 0.9, "nesterov": True}
    for op in ("adam_update", "adamw_update"):
        yield op, {**state, "v": [0.5] * n}, {}


def run_all(n: int, kernels: Kernels) -> set[str]:
    """Run every op forward and backward; their names."""
    tried = set()
    for name, given, attributes in shapes(n):
        op = ops.OPS[name]
        case = make_case(op, given, attributes, "f", n)
        case = cases.Case(case.op, case.inputs, case.attributes, kernels)
        for method in case.methods:
            case.bind(method).run()
        tried.add(name)
    return tried


@pytest.mark.parametrize("n", [*range(1, 10), 15, 16, 17, 31, 33, 63, 65, 67])
def test_no_kernel_leaves_its_buffers(n: int, level: str, kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "guard", guard)
    assert run_all(n, kernels) == set(ops.OPS) - {"clip_factor"}  # of one number each


@pytest.mark.long
@pytest.mark.parametrize("n", range(1, 68))
def test_no_kernel_leaves_its_buffers_at_any_size(
    n: int, level: str, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "guard", guard)
    run_all(n, kernels)


def test_planted_a_read_beyond_the_buffer_ends_the_process() -> None:
    """The control: one number too many is read, and the system ends the process that did it."""
    code = (
        "import ctypes, test_guard_pages as t; from microgpt_core.components import new_buffer\n"
        "b = t.at_the_edge(new_buffer((7,))); at = ctypes.addressof(ctypes.c_char.from_buffer(b))\n"
        "print(ctypes.c_float.from_address(at + 24).value, flush=True); ctypes.c_float.from_address(at + 28).value\n"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.returncode) == ("0.0\n", -11), done.stderr
