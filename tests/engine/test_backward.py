"""Walking the tape back: gradients of whatever shape a graph has, and the memory that it takes and gives back."""

import gc
import weakref

import pytest

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.errors import CaptureError, ShapeError


def leaf(*numbers):
    return mg.tensor(list(numbers), "float64", requires_grad=True)


# A function of one number, a place, and its derivative there: every shape that a graph can have.
GRAPHS = [
    ("once", lambda x: x * 3, 2.0, 3.0),
    ("added to itself", lambda x: x + x, 2.0, 2.0),
    ("multiplied by itself", lambda x: x * x, 3.0, 6.0),
    ("subtracted from itself", lambda x: x - x, 3.0, 0.0),
    ("a diamond", lambda x: (lambda y: y * 2 + y * y)(x * x), 2.0, 4 * 2.0 + 4 * 8.0),
    ("a ladder", lambda x: (lambda y: (lambda z: z * y + z)(y * x))(x + 1), 2.0, 26.0),
    ("the middle of a chain again", lambda x: (lambda y: y * y * y)(x * 2), 1.0, 24.0),
    ("a dead end beside it", lambda x: [x * 100, x * 3][1], 1.0, 3.0),
]


@pytest.mark.parametrize(("name", "f", "at", "slope"), GRAPHS, ids=[row[0] for row in GRAPHS])
def test_gradients_of_graphs(name, f, at, slope):
    x, eps = leaf(at), 1e-6
    f(x).backward()
    numeric = (f(leaf(at + eps)).item() - f(leaf(at - eps)).item()) / (2 * eps)
    assert x.grad.item() == pytest.approx(numeric, rel=1e-6, abs=1e-9)
    assert x.grad.item() == slope


def test_leaves_add_up_several_passes_and_values_between_hold_the_last():
    x = leaf(2.0)
    y = x * 3
    z = y * y
    z.backward()
    assert (x.grad.item(), y.grad.item(), z.grad.item()) == (36.0, 12.0, 1.0)
    z.backward()
    assert (x.grad.item(), y.grad.item(), z.grad.item()) == (72.0, 12.0, 1.0)
    (y * 1).backward()
    assert (x.grad.item(), y.grad.item()) == (75.0, 1.0)
    x.zero_grad()
    assert x.grad.item() == 0.0
    z.backward()
    assert x.grad.item() == 36.0


def test_gradients_are_made_when_they_are_first_needed():
    x, unused, constant = leaf(2.0), leaf(3.0), mg.tensor([4.0], "float64")
    unused.zero_grad()  # nothing to do, and no error
    y = x * constant
    assert (x.grad, y.grad) == (None, None)
    y.backward()
    assert x.grad.item() == 4.0
    assert unused.grad is None
    assert constant.grad is None


def test_only_what_requires_grad_is_differentiated():
    x, frozen = leaf(2.0), mg.tensor([3.0], "float64")
    branch = frozen * frozen
    (x * branch).backward()
    assert x.grad.item() == 9.0
    assert branch.grad is None
    assert not branch.requires_grad


def test_detach_cuts_the_history_and_shares_the_numbers():
    x = leaf(2.0)
    y = x * 3
    cut = y.detach()
    (y * cut).backward()
    assert x.grad.item() == 3 * 6.0
    mg.flat(y.data)[0] = 1.0
    assert cut.item() == 1.0


def test_no_grad_computes_the_same_bits_and_records_nothing():
    x = mg.tensor([0.1 * i for i in range(12)], requires_grad=True)

    def f():
        return ops.softmax(x * x + x)

    recorded = f()
    with mg.no_grad():
        plain = f()
        with mg.no_grad():
            pass
        assert not f().requires_grad  # the inner block has put back what was
    assert bytes(plain.data) == bytes(recorded.data)
    assert not plain.requires_grad
    assert plain.node is None
    assert f().requires_grad


REFUSED = [
    (lambda: mg.tensor([1.0, 2.0], requires_grad=True) * 2, ShapeError, r"loss of one element; .* has shape \(2,\)"),
    (lambda: mg.tensor([1.0]) * 2, CaptureError, "no history. Either nothing it was computed from has requires_grad"),
    (lambda: mg.tensor([1.0], requires_grad=True), CaptureError, "no history"),
    (lambda: (mg.tensor([1.0], requires_grad=True) * 2).detach(), CaptureError, "no history"),
]


@pytest.mark.parametrize(("make", "kind", "message"), REFUSED)
def test_says_why_it_can_not_go_back(make, kind, message):
    with pytest.raises(kind, match=message):
        make().backward()


class Split(mg.Op):
    """Two outputs: low = x / 2, high = 2 x."""

    def shapes(self, x):
        return {"low": x, "high": x}

    def forward(self, low, high, x):
        mg.write(low, [v / 2 for v in mg.flat(x)])
        mg.write(high, [v * 2 for v in mg.flat(x)])

    def backward(self, d_x, d_low, d_high):
        if d_x is not None:
            mg.accumulate(d_x, [a / 2 + b * 2 for a, b in zip(mg.flat(d_low), mg.flat(d_high))])


@pytest.mark.parametrize(("use", "slope"), [
    (lambda low, high: low, 0.5), (lambda low, high: high, 2.0), (lambda low, high: low + high, 2.5),
    (lambda low, high: low * high, 12.0),
])  # fmt: skip
def test_an_output_that_nobody_uses_has_a_gradient_of_zero(use, slope):
    x = leaf(6.0)
    use(*Split()(x)).backward()
    assert x.grad.item() == slope

    def step():
        use(*Split()(x)).backward()

    x.zero_grad()
    mg.capture(step)()
    assert x.grad.item() == slope


class StopGradient(mg.Op):
    """out = a + b, differentiated for `a` only: its backward has no d_b."""

    def shapes(self, a, b):
        return {"out": a}

    def forward(self, out, a, b):
        mg.write(out, [x + y for x, y in zip(mg.flat(a), mg.flat(b))])

    def backward(self, d_a, d_out):
        if d_a is not None:
            mg.accumulate(d_a, mg.flat(d_out).tolist())


def test_an_input_without_a_derivative_gets_no_gradient():
    a, b = leaf(1.0), leaf(2.0)
    StopGradient()(a, b).backward()
    assert a.grad.item() == 1.0
    assert b.grad is None
    assert not StopGradient()(mg.tensor([1.0], "float64"), b).requires_grad
    behind = b * 3
    StopGradient()(a, behind).backward()
    assert (behind.grad, b.grad) == (None, None)


TAPE = """\
x2 (1, 2) = linear(x0, x1)
x3 (1, 2) = relu2(x2)   # mlp
x4 (1, 2) = scale(x3, factor=0.5)   # mlp.half
x5 (1, 2) = add(x4, x2)
x6 (1,) = sum(x5)"""


def test_the_tape_is_printed_a_line_a_call():
    x, w = mg.tensor([[1.0, 2.0, 3.0]]), mg.tensor([[0.1] * 3] * 2, requires_grad=True)
    y = ops.linear(x, w)
    with mg.scope("mlp"):
        h = ops.relu2(y)
        with mg.scope("half"):
            h = h * 0.5
    assert mg.tape(ops.sum(h + y)) == TAPE
    assert mg.tape(x) == "nothing on the tape: this tensor has no history"


CHAIN = """
import weakref
import microgpt_core as mg

x = mg.tensor([1.0], requires_grad=True)
y = x
for _ in range(LENGTH):
    y = mg.ops.scale(y, factor=1.0)
y.backward()
end = weakref.ref(y)
del y
print(x.grad.item(), end())
"""


@pytest.mark.parametrize("length", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_a_long_chain_is_no_recursion(run_python, length):
    assert run_python(CHAIN.replace("LENGTH", str(length))) == "1.0 None\n"


def test_a_graph_is_freed_by_counting_references():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0)
        kept = []
        y = x
        for _ in range(5):
            y = y * y + x
            kept.append(weakref.ref(y))
        low, high = Split()(y)
        kept += [weakref.ref(low), weakref.ref(high)]
        loss = ops.sum(low * high)
        loss.backward()
        loss.backward()
        del low, high, y, loss
        assert [ref() for ref in kept] == [None] * 7
        assert gc.collect() == 0  # no cycle was left over
    finally:
        gc.enable()
