"""Tensors: how they are made, shown, combined and read, and what is said where that can't be."""

import ctypes
from array import array

import numpy as np
import pytest

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.errors import CaptureError, ShapeError, SignatureError

MADE = [
    ([1, 2, 3], None, (3,), "float32", [1.0, 2.0, 3.0]),
    ([[1, 2], [3, 4], [5, 6]], None, (3, 2), "float32", [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    ([[[1.5]], [[2.5]]], "float64", (2, 1, 1), "float64", [[[1.5]], [[2.5]]]),
    (7, None, (1,), "float32", [7.0]),
    (range(3), "int32", (3,), "int32", [0, 1, 2]),
    (((1, 2), [3, 4]), "int32", (2, 2), "int32", [[1, 2], [3, 4]]),
    ([True, False], None, (2,), "float32", [1.0, 0.0]),
    (array("d", [1.0, 2.0]), None, (2,), "float64", [1.0, 2.0]),
    (array("i", [1, 2]), "int32", (2,), "int32", [1, 2]),
    (memoryview(bytearray(24)).cast("f", (2, 3)), None, (2, 3), "float32", [[0.0] * 3] * 2),
    (np.arange(6, dtype=np.float64).reshape(2, 3), None, (2, 3), "float64", [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
    (np.array([1, 2], dtype=np.int32), None, (2,), "int32", [1, 2]),
    (np.float32(2.5), None, (1,), "float32", [2.5]),
    ([np.float64(2.5), 1], None, (2,), "float32", [2.5, 1.0]),
]


@pytest.mark.parametrize(("numbers", "dtype", "shape", "expected_dtype", "values"), MADE)
def test_is_made_of_lists_numbers_and_arrays(numbers, dtype, shape, expected_dtype, values):
    t = mg.tensor(numbers, dtype)
    assert (t.shape, t.dtype, t.tolist()) == (shape, expected_dtype, values)
    assert t.data.c_contiguous
    assert t.grad is None
    assert not t.requires_grad


REFUSED = [
    ([[1, 2], [3]], None, r"one length at each level; found parts of shape \(2,\) and \(1,\)"),
    ([[1, 2], 3], None, r"found parts of shape \(2,\) and \(\)"),
    ([1, [2, 3]], None, r"found parts of shape \(\) and \(2,\)"),
    ([[[1]], [[2, 3]]], None, r"found parts of shape \(1, 1\) and \(1, 2\)"),
    ([], None, r"shape \(0,\) has an empty axis"),
    ([[], []], None, r"shape \(2, 0\) has an empty axis"),
    (np.zeros((2, 0), np.float32), None, r"shape \(2, 0\) has an empty axis"),
    ("abc", None, "not all of these numbers are float32"),
    (["1"], None, "not all of these numbers are float32"),
    ([None], None, "not all of these numbers are float32"),
    ({1, 2}, None, "not all of these numbers are float32"),
    ([1.5], "int32", "not all of these numbers are int32"),
    ([2**40], "int32", "not all of these numbers are int32"),
    ([1], "float23", r"unknown dtype 'float23' \(did you mean 'float32'\?\); allowed: float32, float64, int32"),
    ([1], "bfloat16", "unknown dtype 'bfloat16'"),
    (b"abc", None, "is used as it is, and this one is uint8; convert it to float32 or float64 or int32 first"),
    (np.arange(3, dtype=np.int64), None, "this one is of format '[lq]'"),
    (array("d", [1.0]), "float32", "this one is float64; convert it to float32 first"),
    (memoryview(array("f", [1, 2, 3, 4]))[::2], None, "don't lie in a row; copy it first"),
    (np.zeros((2, 3), np.float32).T, None, "don't lie in a row"),
]


@pytest.mark.parametrize(("numbers", "dtype", "message"), REFUSED)
def test_says_why_it_can_not_be_made(numbers, dtype, message):
    with pytest.raises(ShapeError, match=message):
        mg.tensor(numbers, dtype)


def test_whole_numbers_have_no_gradient():
    with pytest.raises(ShapeError, match="int32 can't have requires_grad"):
        mg.tensor([1], "int32", requires_grad=True)


def address(buffer):
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


@pytest.mark.parametrize(
    "numbers",
    [array("d", [1.0, 2.0]), array("f", [1.0, 2.0]), array("i", [1, 2]), np.array([1.0, 2.0]), bytearray(8)],
    ids=["array d", "array f", "array i", "numpy", "memoryview"],
)
def test_an_array_is_used_without_a_copy(numbers):
    if isinstance(numbers, bytearray):
        numbers = memoryview(numbers).cast("f")
    t = mg.tensor(numbers)
    assert address(t.data) == address(numbers)
    numbers[0] = 5
    assert t.tolist()[0] == 5
    if t.dtype != "int32":
        assert (t + t).tolist()[0] == 10


def test_lists_are_copied():
    numbers = [1.0, 2.0]
    t = mg.tensor(numbers)
    numbers[0] = 5.0
    assert t.tolist() == [1.0, 2.0]


X, Y = [[1.0, 2.0], [3.0, 4.0]], [[10.0, 20.0], [30.0, 40.0]]
COMBINED = [
    (lambda x, y: x + y, [[11.0, 22.0], [33.0, 44.0]]),
    (lambda x, y: x - y, [[-9.0, -18.0], [-27.0, -36.0]]),
    (lambda x, y: x * y, [[10.0, 40.0], [90.0, 160.0]]),
    (lambda x, y: x @ y, [[70.0, 100.0], [150.0, 220.0]]),
    (lambda x, y: x + 1, [[2.0, 3.0], [4.0, 5.0]]),
    (lambda x, y: 1 + x, [[2.0, 3.0], [4.0, 5.0]]),
    (lambda x, y: x - 1, [[0.0, 1.0], [2.0, 3.0]]),
    (lambda x, y: 1 - x, [[0.0, -1.0], [-2.0, -3.0]]),
    (lambda x, y: x * 2, [[2.0, 4.0], [6.0, 8.0]]),
    (lambda x, y: 2.5 * x, [[2.5, 5.0], [7.5, 10.0]]),
    (lambda x, y: -x, [[-1.0, -2.0], [-3.0, -4.0]]),
    (lambda x, y: x + mg.tensor([100.0, 200.0], x.dtype), [[101.0, 202.0], [103.0, 204.0]]),
]


@pytest.mark.parametrize(("combine", "expected"), COMBINED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operators(combine, expected, dtype):
    result = combine(mg.tensor(X, dtype), mg.tensor(Y, dtype))
    assert (result.tolist(), result.dtype) == (expected, dtype)


@pytest.mark.parametrize(("combine", "slope"), [
    (lambda x: x + 3, 1.0), (lambda x: 3 + x, 1.0), (lambda x: x - 3, 1.0), (lambda x: 3 - x, -1.0),
    (lambda x: x * 3, 3.0), (lambda x: 3 * x, 3.0), (lambda x: -x, -1.0), (lambda x: x * x, 4.0),
])  # fmt: skip
def test_operators_have_gradients(combine, slope):
    x = mg.tensor([2.0], requires_grad=True)
    combine(x).backward()
    assert x.grad.tolist() == [slope]


CANNOT = [
    (lambda x: x + "a", SignatureError, r"a tensor and 'a' \(str\) don't combine; make it a tensor first"),
    (lambda x: [1.0] + x, SignatureError, r"a tensor and \[1.0\] \(list\) don't combine"),
    (lambda x: x - None, SignatureError, r"None \(NoneType\)"),
    (lambda x: "a" - x, SignatureError, "don't combine"),
    (lambda x: x * [2], SignatureError, "don't combine"),
    (lambda x: x @ 2, SignatureError, r"matmul\(.*must be a Tensor, found 2 \(int\)"),
    (lambda x: x + mg.tensor([1.0], "float64"), ShapeError, "add: b has dtype float64, expected float32"),
    (lambda x: x + mg.tensor([1, 2], "int32"), ShapeError, "add: b has dtype int32, expected float32"),
    (lambda x: x + mg.tensor([1.0, 2.0, 3.0]), ShapeError, r"add: b has shape \(3,\)"),
    (lambda x: mg.tensor([1], "int32") + 1.5, ShapeError, "not all of these numbers are int32"),
    (lambda x: mg.tensor([1], "int32") * 2, ShapeError, "scale: x has dtype int32, expected float32 or float64"),
]


@pytest.mark.parametrize(("combine", "kind", "message"), CANNOT)
def test_says_what_does_not_combine(combine, kind, message):
    with pytest.raises(kind, match=message):
        combine(mg.tensor([1.0, 2.0]))


SHOWN = [
    (mg.tensor([1.0, 2.5]), "tensor([1, 2.5], float32 (2,))"),
    (mg.tensor([[1, 2], [3, 4]], "int32"), "tensor([[1, 2], [3, 4]], int32 (2, 2))"),
    (mg.tensor([1 / 3], "float64", requires_grad=True), "tensor([0.3333], float64 (1,), requires_grad)"),
    (mg.tensor([float("nan"), float("-inf")]), "tensor([nan, -inf], float32 (2,))"),
    (mg.tensor([1e-7, 123456.0]), "tensor([1e-07, 1.235e+05], float32 (2,))"),
    (mg.tensor(list(range(8))), "tensor([0, 1, 2, 3, 4, 5, 6, 7], float32 (8,))"),
    (mg.tensor(list(range(100))), "tensor([0, 1, 2, 3, ..., 97, 98, 99], float32 (100,))"),
    (mg.tensor([3.0], requires_grad=True) * 2, "tensor([6], float32 (1,), requires_grad)"),
]


@pytest.mark.parametrize(("t", "text"), SHOWN)
def test_prints(t, text):
    assert repr(t) == str(t) == text


def test_reading_numbers():
    assert mg.tensor([2.5]).item() == 2.5
    assert mg.tensor([[3]], "int32").item() == 3
    assert bool(mg.tensor([0.0])) is False
    assert bool(mg.tensor([1], "int32")) is True
    with pytest.raises(ShapeError, match=r"item\(\) takes a tensor of one element, this one has shape \(2,\)"):
        mg.tensor([1.0, 2.0]).item()
    with pytest.raises(ShapeError, match="one element"):
        bool(mg.tensor([1.0, 2.0]))


W = mg.tensor([[1.0, 2.0]])
MISCALLED = [
    (lambda: ops.relu(), r"relu\(x\) takes Tensors, found nothing; make one with mg.tensor"),
    (lambda: ops.relu([1.0]), r"relu\(x\) takes Tensors, found list"),
    (lambda: ops.add(W, 2.0), r"add\(a, b\): b must be a Tensor, found 2.0 \(float\)"),
    (lambda: ops.add(W), r"add\(a, b\): b must be a Tensor, found nothing"),
    (lambda: ops.add(W, W, W), r"add\(a, b\) takes 2 tensors, found 3$"),
    (lambda: ops.scale(W, 2.0), r"scale\(x, \*, factor\) takes 1 tensors, found 2; attributes are given by name"),
    (lambda: ops.scale(W), r"scale\(x, \*, factor\): the attribute factor is missing"),
    (lambda: ops.scale(W, factr=2.0), r"'factr' fits nothing \(did you mean 'factor'\?\)"),
    (lambda: ops.scale(W, factor=W), "the attribute factor must be fixed, found a Tensor"),
    (lambda: ops.scale(W, x=W, factor=1.0), "'x' was given twice"),
    (lambda: ops.linear(W, None), "weight must be a Tensor, found nothing"),
    (lambda: ops.linear(W, W, bias=3), r"bias must be a Tensor, found 3 \(int\)"),
]


@pytest.mark.parametrize(("call", "message"), MISCALLED)
def test_a_wrong_call_shows_the_signature(call, message):
    with pytest.raises(SignatureError, match=message):
        call()


def test_inputs_may_be_named_and_optional_ones_left_out():
    assert ops.linear(weight=W, x=W).tolist() == ops.linear(W, W, None).tolist() == [[5.0]]
    assert ops.linear(W, W, bias=mg.tensor([1.0])).tolist() == [[6.0]]


@pytest.mark.parametrize(("said", "message"), [
    ({"ot": (1,)}, r"forgetful.shapes: forward makes \(out\), but shapes were given for \(ot\)"),
    ({}, r"forward makes \(out\), but shapes were given for \(\)"),
    ({"out": ()}, r"forgetful.shapes: out is \(\); a shape is a tuple, \(1,\) for a single number"),
    ({"out": 3}, "out is 3; a shape is a tuple"),
])  # fmt: skip
def test_an_op_must_say_the_shapes_of_what_it_makes(said, message):
    class Forgetful(mg.Op):
        def shapes(self, x):
            return said

        def forward(self, out, x): ...

    with pytest.raises(SignatureError, match=message):
        Forgetful()(W)


NOTEBOOK_CELL = '''
import microgpt_core as mg

class Cube(mg.Op):
    """y = x^3"""

    def shapes(self, x):
        return {"out": x}

    def forward(self, out, x):
        mg.write(out, [v**3 for v in mg.flat(x)])

    def backward(self, d_x, d_out, x):
        if d_x is not None:
            mg.accumulate(d_x, [3 * v * v * d for v, d in zip(mg.flat(x), mg.flat(d_out))])

class Softsign(mg.Unary):
    def f(self, x):
        return x / (1 + abs(x))

    def df(self, x):
        return 1 / (1 + abs(x)) ** 2
'''


def test_an_op_defined_in_a_notebook_cell_works_at_once():
    cell = {"__name__": "__main__"}
    exec(NOTEBOOK_CELL, cell)
    x = mg.tensor([1.0, -3.0], "float64", requires_grad=True)
    ops.sum(cell["Cube"]()(x) + cell["Softsign"]()(x)).backward()
    assert x.grad.tolist() == [3 + 1 / 4, 27 + 1 / 16]
    step = mg.capture(lambda v: cell["Cube"]()(v), mg.tensor([2.0]))
    assert step(mg.tensor([4.0])).item() == 64.0


def test_numbers_that_are_not_there_yet_are_named():
    from microgpt_core.engine.value import Value

    promised = mg.Tensor(Value((2, 3), "f", name="wte.weight", persistent=True))
    assert repr(promised) == "tensor(float32 (2, 3), no numbers yet)"
    for read in (lambda: promised.tolist(), lambda: promised.data, lambda: promised + 1.0):
        with pytest.raises(CaptureError, match=r"wte.weight, float32 \(2, 3\), has no numbers yet"):
            read()


def test_division_is_by_a_number():
    x = mg.tensor([3.0, 5.0], "float64", requires_grad=True, name="x")
    y = x / 2
    assert y.tolist() == [1.5, 2.5]
    mg.ops.sum(y).backward()
    assert x.grad.tolist() == [0.5, 0.5]
    assert "scale(x, factor=0.5)" in mg.tape(mg.ops.sum(x / 2))
    for wrong in (0, y, "2"):
        with pytest.raises(mg.MicrogptError, match="divided by a number"):
            x / wrong
