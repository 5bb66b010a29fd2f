"""Wrong buffers never reach C: bound by hand, they are an error; and numbers out of range are found in C itself."""

from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.components import Buffer, flat, new_buffer, write
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.context import use_kernels
from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import DataError, ShapeError
from microgpt_simd.native import Call, Program
from microgpt_simd.ops import Attention, Linear, RMSNorm
from microgpt_simd.threads import team

GOOD = {"out": (2, 3), "x": (2, 5), "weight": (3, 5), "bias": (3,)}


def ones(shape: tuple[int, ...]) -> Buffer:
    buffer = new_buffer(shape)
    write(buffer, [1.0] * len(flat(buffer)))
    return buffer


def views(**other: Any) -> dict[str, Buffer | None]:
    """A linear's buffers, some of them replaced."""
    found: dict[str, Any] = {name: ones(shape) for name, shape in GOOD.items()}
    return found | other


def bind(given: dict[str, Buffer | None]) -> Any:
    kernel = Linear()
    return kernel.prepare("forward", given, {}, new_buffer((1 << 22,), "B"))


@pytest.mark.parametrize(("other", "out"), [({}, 6.0), ({"bias": None}, 5.0)])
def test_what_fits_is_bound_and_runs(other: dict[str, Any], out: float) -> None:
    given: Any = views(**other)
    bind(given)()
    assert given["out"].tolist() == [[out] * 3] * 2


SHARED = new_buffer((40,))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"out": new_buffer((2, 4))}, "linear.forward: out has shape (2, 4), expected (2, 3)"),
        ({"x": new_buffer((2, 6))}, "linear: weight has shape (3, 5), expected"),
        ({"x": new_buffer((2, 5), "d")}, "linear: x has format 'd', expected 'f'"),
        ({"x": new_buffer((10,))[::2]}, "linear: x is a memoryview, expected a C-contiguous memoryview"),
        ({"x": bytearray(40)}, "linear: x is a bytearray, expected a C-contiguous memoryview"),
        ({"x": None}, "linear.forward: x is missing"),
        ({"out": SHARED[:6].cast("B").cast("f", (2, 3)), "x": SHARED[5:15].cast("B").cast("f", (2, 5))},
         "linear.forward: out, which is written, overlaps x"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_an_error(other: dict[str, Any], message: str) -> None:
    with pytest.raises((ShapeError, TypeError)) as error:
        bind(views(**other))
    assert message in str(error.value)


def test_a_workspace_that_is_too_small_is_an_error() -> None:
    with pytest.raises(ShapeError, match="linear.forward needs a workspace of .* bytes"):
        Linear().prepare("forward", views(), {}, new_buffer((64,), "B"))


def test_attributes_in_another_order_are_an_error() -> None:
    q = new_buffer((1, 2, 4))
    given = dict.fromkeys(("q", "k", "v"), q) | {"positions": None, "start": None}
    made = {"out": new_buffer((1, 2, 4)), "lse": new_buffer((1, 2, 2))}
    for attributes in ({"window": 1, "n_head": 2}, {"n_head": 2}):
        with pytest.raises(ShapeError, match="attention.forward: attributes are .*; expected n_head, window"):
            Attention().prepare("forward", made | given, attributes, new_buffer((1 << 20,), "B"))


def test_a_workspace_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(ShapeError, match="linear.forward needs a workspace that is C-contiguous and can be written"):
        Linear().prepare("forward", views(), {}, new_buffer((1 << 22,), "B").toreadonly())


@pytest.mark.parametrize(
    ("eps", "message"), [("4", "eps is '4', expected a number or None"), (10**400, "eps has 1329 bits, expected less")]
)
def test_attributes_that_c_has_no_number_for_are_an_error(eps: Any, message: str) -> None:
    given = {"out": new_buffer((1, 2)), "rstd": new_buffer((1,)), "x": new_buffer((1, 2)), "weight": None}
    with pytest.raises(ShapeError, match=f"rmsnorm.forward: {message}"):
        RMSNorm().prepare("forward", given, {"eps": eps}, None)


def test_what_is_read_only_is_not_written() -> None:
    with pytest.raises(ShapeError, match="linear.forward: out, which is written, is read-only"):
        bind(views(out=memoryview(bytes(24)).cast("B").cast("f", (2, 3))))


def test_a_call_without_a_kernel_is_an_error() -> None:
    call = Call("mish", {"x": ((1,), "f")}, {}, team())
    with pytest.raises(ValueError, match="mish: this call has no kernel yet"):
        call()
    for calls in ([], [None], [call]):
        with pytest.raises(ValueError, match="program"):
            Program(calls)
    with pytest.raises(TypeError):
        Call("mish", {"x": ((1,), "f")}, {}, None)  # type: ignore[arg-type]


def test_a_backward_that_nobody_wants_does_nothing() -> None:
    names = ops.OPS["attention"].signature.backward
    given = {name: None if name.startswith("d_") and name != "d_out" else ones((1, 1, 2)) for name in names}
    nonsense = {"n_head": 0}  # and the window is missing: refused as soon as somebody wants a gradient
    Attention().prepare("backward", given, nonsense, None)()
    assert {b.tobytes() for b in given.values() if b is not None} == {ones((2,)).tobytes()}
    with pytest.raises(ShapeError, match="attention.backward: attributes are n_head; expected n_head, window"):
        Attention().prepare("backward", given | {"d_q": given["q"]}, nonsense, None)


def test_arguments_in_another_order_are_an_error() -> None:
    given = views()
    with pytest.raises(ShapeError, match="linear.forward: arguments are x, out, weight, bias; expected out, x, "):
        bind({"x": given["x"], "out": given["out"], "weight": given["weight"], "bias": None})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.embedding(tensor([0, 9], "int32"), tensor([[1.0], [2.0]])),
         "ids has 9 at index 1 (allowed: 0 to 1)"),
        (lambda: ops.cross_entropy(tensor([[1.0, 2.0]]), tensor([2], "int32")),
         "targets has 2 at index 0 (allowed: -1 to 1)"),
        (lambda: ops.cross_entropy(tensor([[1.0, 2.0]]), tensor([-2], "int32")), "targets has -2 at index 0"),
        (lambda: ops.attention(*[tensor([[[1.0, 2.0]]])] * 3, start=tensor([1], "int32"), n_head=1),
         "start has 1 at index 0 (allowed: 0 to 0)"),
        (lambda: ops.attention(*[tensor([[[1.0, 2.0]]])] * 3, positions=tensor([[1]], "int32"), n_head=1),
         "positions has 1 at index 0 (allowed: 0 to 0)"),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_named(call: Any, message: str, kernels: Kernels) -> None:
    with use_kernels(kernels), pytest.raises(DataError) as error:
        call()
    assert message in str(error.value)


def test_planted_without_the_boundary_a_wrong_shape_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what is refused would else have reached C."""
    given = {"out": new_buffer((2, 4)), "rstd": new_buffer((2,)), "x": new_buffer((2, 3)), "weight": None}
    with pytest.raises(ShapeError, match=r"rmsnorm.forward: out has shape \(2, 4\), expected \(2, 3\)"):
        RMSNorm().prepare("forward", given, {"eps": 1e-5}, None)
    monkeypatch.setattr("microgpt_simd.kernel.check_call", lambda *_: None)
    assert isinstance(RMSNorm().prepare("forward", given, {"eps": 1e-5}, None), Call)
