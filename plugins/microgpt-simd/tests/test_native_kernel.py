"""Another pack's native kernel: bad calls never reach its code, odd ops are understood, another ABI is refused."""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

import microgpt_simd
from microgpt_core import ops
from microgpt_core.components import Buffer, Op, Shape, Shapes, Unary, new_buffer
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.context import use_kernels
from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import ConfigurationError, ShapeError, SignatureError
from microgpt_simd.backend import Simd
from microgpt_simd.kernel import NativeKernel
from microgpt_simd.levels import chosen_level, op_functions
from microgpt_simd.native import Call


class Ramp(Unary):
    """Another pack's op; for its native code, ReLU's will do."""

    def f(self, x: float) -> float:
        return max(x, 0.0)

    def df(self, x: float) -> float:
        return float(x > 0.0)


class Shift(Op):
    """y = x + b for each row, whose backward reads neither x nor b; and how many numbers of a row are above 0."""

    def shapes(self, x: Shape, b: Shape) -> Shapes:
        self.expect("b", b, x[-1:])
        return {"out": x, "above": ("i", x[:-1])}

    def forward(self, out: Buffer, above: Buffer, x: Buffer, b: Buffer) -> None:
        raise NotImplementedError

    def backward(self, d_x: Buffer | None, d_b: Buffer | None, d_out: Buffer) -> None:
        raise NotImplementedError


class RampKernel(NativeKernel):
    op: ClassVar[Op] = Ramp()
    sets = ("d_x",)

    def functions(self) -> Mapping[str, object]:
        return op_functions(chosen_level(), "relu")


class ShiftKernel(RampKernel):
    op = Shift()


SHIFT: dict[str, dict[str, Buffer | None]] = {
    "forward": {
        "out": new_buffer((2, 3)), "above": new_buffer((2,), "i"), "x": new_buffer((2, 3)), "b": new_buffer((3,)),
    },
    "backward": {"d_x": new_buffer((2, 3)), "d_b": new_buffer((3,)), "d_out": new_buffer((2, 3))},
}  # fmt: skip


def test_the_header_is_where_include_says() -> None:
    assert (Path(microgpt_simd.include()) / "microgpt_simd.h").is_file()
    assert (Path(microgpt_simd.include()).parent / "native.pxd").is_file()


def test_it_runs_and_trains() -> None:
    with use_kernels(Kernels([Simd()], {"simd/ramp": RampKernel()})):
        x = tensor([[-1.0, 2.0], [0.5, -3.0]], requires_grad=True)
        ops.sum(ops.sum(Ramp()(x))).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("unwanted", [(), ("d_x",), ("d_b",)])
def test_what_fits_is_bound(unwanted: tuple[str, ...]) -> None:
    """Also where nothing tells the shape of an input: nobody wants its gradient, and backward doesn't read it."""
    calls = [
        ShiftKernel().prepare("forward", SHIFT["forward"], {}, None),
        ShiftKernel().prepare("backward", SHIFT["backward"] | dict.fromkeys(unwanted), {}, None),
    ]
    assert [type(call) for call in calls] == [Call, Call]


@pytest.mark.parametrize(
    ("method", "other", "message"),
    [
        ("forward", {"b": new_buffer((2,))}, "shift: b has shape (2,), expected (3,)"),
        ("forward", {"out": new_buffer((3, 2))}, "shift.forward: out has shape (3, 2), expected (2, 3)"),
        ("forward", {"above": new_buffer((2,))}, "shift: above has format 'f', expected 'i'"),
        ("forward", {"above": None}, "shift.forward: above is missing"),
        ("backward", {"d_b": new_buffer((2,))}, "shift: b has shape (2,), expected (3,)"),
        ("backward", {"d_x": new_buffer((3, 3)), "d_b": None}, "shift.backward: d_out has shape (2, 3), expected"),
        ("backward", {"d_out": new_buffer((2, 3), "i")}, "shift: d_out has format 'i', expected 'f'"),
    ],
)
def test_what_does_not_fit_never_reaches_its_code(method: str, other: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError) as error:
        ShiftKernel().prepare(method, SHIFT[method] | other, {}, None)
    assert message in str(error.value)


def test_an_op_by_name_is_an_error() -> None:
    with pytest.raises(SignatureError, match=r"Named.op is 'ramp', expected an op's instance, such as `op = Mish\(\)`"):
        type("Named", (NativeKernel,), {"op": "ramp"})


def capsule(name: bytes) -> object:
    """Of a function that is never called. The name isn't copied: it has to stay."""
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    return make(1, name, None)


OLD = b"microgpt_simd.kernel.0"


@pytest.mark.parametrize("functions", [{"forward": capsule(OLD)}, {"forward workspace": capsule(OLD)}, {"forward": 1}])
def test_another_interface_is_refused(functions: dict[str, object]) -> None:
    kernel = type("OldKernel", (RampKernel,), {"functions": lambda self: functions})()
    with pytest.raises(ConfigurationError, match=r"ramp: its native kernel was compiled for another .*kernels.ramp="):
        kernel.prepare("forward", {"out": new_buffer((2,)), "x": new_buffer((2,))}, {}, None)
