"""The memory of a plan: values that are alive together never share it, and what is dead may be overwritten.

Random graphs are captured and replayed with everything that the plan holds for dead overwritten by NaN before
every call. Planted layouts, lifetimes and ops show that these checks see what they look for.
"""

import gc
import random
import weakref
from dataclasses import replace

import hypothesis
import pytest
from hypothesis import strategies as st

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.components import Kernel
from microgpt_core.engine import planner
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.capture import Captured, record
from microgpt_core.engine.plan import PlanValue
from microgpt_core.engine.region import ALIGNMENT, aligned, allocate_together
from microgpt_core.engine.replay import Replay
from microgpt_core.engine.tensor import tensor

POISON = b"\xff"  # a NaN in every float format


def overlaps(values):
    """The pairs of values that are needed by one call and lie in one place."""
    placed = [v for v in values if v.offset is not None]
    return [
        (a.name, b.name)
        for i, a in enumerate(placed)
        for b in placed[:i]
        if a.first <= b.last and b.first <= a.last  # alive together
        if a.offset < b.offset + b.nbytes and b.offset < a.offset + a.nbytes
    ]


def peak(values):
    """The bytes alive at the worst call, counted the slow way."""
    calls = range(max((v.last for v in values), default=0) + 1)
    return max(sum(v.nbytes for v in values if v.first <= at <= v.last) for at in calls)


@st.composite
def lives(draw):
    first = draw(st.integers(0, 20))
    size = draw(st.integers(1, 1000))
    return PlanValue("v", (size,), "B", "value", None, first, draw(st.integers(first, first + 10)))


@hypothesis.given(st.lists(lives(), max_size=40))
@hypothesis.settings(deadline=None)
def test_no_layout_lets_values_that_live_together_share_memory(values):
    nbytes = planner.lay_out(values)
    assert overlaps(values) == []
    assert nbytes >= (peak(values) if values else 0)
    assert all(v.offset % ALIGNMENT == 0 and v.offset + v.nbytes <= nbytes for v in values)


@st.composite
def lenders(draw):
    """Gradients: there from some call on, to the end."""
    size, first = draw(st.sampled_from([64, 128, 640, 100])), draw(st.integers(0, 31))
    return PlanValue("lender", (size,), "B", "persistent", None, first, 32)


def in_one_space(values, lending):
    """The lenders and their gaps, and the values that they lend their memory to, all placed in that memory."""
    found, end = [replace(v) for v in values if v.lent], 0
    for value in lending:
        found.append(replace(value, offset=end))
        end, gap = end + aligned(value.nbytes), aligned(value.nbytes) - value.nbytes
        if gap:
            found.append(PlanValue("gap", (gap,), "B", "value", end - gap, 0, value.last))
    return found, end


@hypothesis.given(st.lists(lives(), max_size=40), st.lists(lenders(), max_size=8))
@hypothesis.settings(deadline=None)
def test_gradients_lend_their_memory_only_until_they_are_there(values, lending):
    nbytes = planner.lay_out(values, lending)
    lent, end = in_one_space(values, lending)
    assert overlaps(lent) == []
    assert all(v.offset % ALIGNMENT == 0 and 0 <= v.offset <= end - v.nbytes for v in values if v.lent)
    own = [v for v in values if not v.lent]
    assert overlaps(own) == []
    assert all(v.offset % ALIGNMENT == 0 and 0 <= v.offset <= nbytes - v.nbytes for v in own)


def test_planted_a_gradient_that_lends_for_a_call_too_long_is_found():
    value = PlanValue("v", (64,), "B", "value", None, 0, 5)
    lending = [PlanValue("gradient", (64,), "B", "persistent", None, 5, 9)]
    assert planner.lay_out([value], lending) == 64
    assert planner.lay_out([value], [replace(lending[0], first=6)]) == 0
    assert overlaps(in_one_space([value], lending)[0]) == [("gradient", "v")]


def test_each_takes_the_memory_that_is_lent_for_the_shortest_time():
    """Backward comes to the last gradients first: of two values, the one that lives longer has the first's memory."""
    lending = [PlanValue(f"gradient {i}", (64,), "B", "persistent", None, 9 - i, 20) for i in range(3)]
    values = [PlanValue(f"value {last}", (64,), "B", "value", None, 0, last) for last in (8, 7, 6)]
    assert planner.lay_out(values, lending) == 0
    assert [v.offset for v in values] == [0, 64, 128]


def everything_at_the_start(values):
    for value in values:
        value.offset = 0
    return max(v.nbytes for v in values)


def one_call_too_short(values):
    shortened = [replace(v, last=max(v.first, v.last - 1)) for v in values]
    nbytes = planner.lay_out(shortened)
    for value, other in zip(values, shortened):
        value.offset = other.offset
    return nbytes


def without_alignment(values):
    """Each value directly behind the one before, in the order of size, its last byte shared."""
    end = 0
    for value in values:
        value.offset, end = max(0, end - 1), end + value.nbytes
    return end


@pytest.mark.parametrize("lay_out", [everything_at_the_start, one_call_too_short, without_alignment])
def test_planted_layouts_are_found(lay_out):
    r = random.Random(1)
    values = [PlanValue(str(i), (r.randrange(1, 99),), "B", "value", None, i, i + r.randrange(1, 5)) for i in range(20)]
    lay_out(values)
    assert overlaps(values)


def poisoned(function, inputs, change=lambda replay: None, kernels=None, recompute=(), fresh=()):
    """The outputs of a replay before each of whose calls all dead memory is overwritten, that of `fresh` too."""
    trace, _ = record(function, inputs)
    replay = Replay(planner.make_plan(trace, kernels or Kernels(), segments=recompute, fresh=fresh), fresh=fresh)
    change(replay)
    values = [replace(v) for v in replay.plan.values if v.offset is not None]
    memory = replay.region.view(0, (replay.region.nbytes,), "B", replay.region.nbytes)
    lent = memoryview(fresh[0].data.obj)[: aligned(fresh[0].nbytes) * len(fresh)] if fresh else memoryview(bytearray())
    for i, gradient in enumerate(fresh):
        planned = next(v for v in replay.plan.values if v.name == gradient.name)
        values.append(replace(planned, offset=i * aligned(gradient.nbytes), lent=True))

    def spoil(at):
        for place, those in ((memory, [v for v in values if not v.lent]), (lent, [v for v in values if v.lent])):
            dead = bytearray(POISON * len(place))
            for v in those:
                if (v.first < at or v.role == "input") and v.last >= at:
                    dead[v.offset : v.offset + v.nbytes] = place[v.offset : v.offset + v.nbytes]
            place[:] = dead

    def before(at, run):
        def spoiled():
            spoil(at)
            run()

        return spoiled

    replay.program = [before(at, run) for at, run in enumerate(replay.program)]
    results = replay(*inputs)
    spoil(len(replay.program))
    return [bytes(r.data) for r in results]


WIDTH = 8  # 64 bytes: a leaf's gradient has no gap behind it, and lends its memory
BINARY, UNARY = [ops.add, ops.sub, ops.mul], [ops.relu, ops.relu2, ops.softmax, ops.rmsnorm]


class Graph:
    """A random graph over two inputs and two leaves, from a list of (op, operand, operand); each line in a scope."""

    def __init__(self, lines, returned):
        self.lines, self.returned = lines, returned
        self.leaves = [
            mg.tensor([0.3 * i - 0.7 for i in range(WIDTH)], "float64", requires_grad=True),
            mg.tensor([1.1 - 0.2 * i for i in range(WIDTH)], "float64", requires_grad=True),
        ]
        self.inputs = [mg.tensor([0.1 * i + k for i in range(WIDTH)], "float64") for k in range(2)]

    def __call__(self, *inputs):
        values = [*inputs, *self.leaves]
        for (op, i, j), scope in zip(self.lines, self.scopes()):
            operands = [values[i % len(values)], values[j % len(values)]]
            with mg.scope(scope):
                values.append(op(*operands[: len(op.signature.inputs) if op in BINARY else 1]))
        loss = ops.sum(values[-1] * self.leaves[0])
        loss.backward()
        gradients = [v.grad for v in values[2:] if v.grad is not None]
        return [loss, *gradients, *(values[i % len(values)] for i in self.returned)]

    def scopes(self):
        """Runs of lines, and one scope that comes again and again."""
        return ["odd" if i % 4 == 3 else f"run.{i // 4}" for i in range(len(self.lines))]

    def segments(self, size):
        names = list(dict.fromkeys(self.scopes()))
        return [names[i : i + size] for i in range(0, len(names), size)] if size else []

    def gradients(self):
        found = [None if leaf.grad is None else bytes(leaf.grad.data) for leaf in self.leaves]
        for leaf in self.leaves:
            leaf.zero_grad()
        return found


class Setting(Kernel):
    """Runs an op by the reference, but writes the gradients that it is told to set."""

    def __init__(self, op):
        self.op, self.sets = op, tuple(f"d_{n}" for n in op.signature.inputs)

    def forward(self, *views, **attributes):
        self.op.forward(*views, **attributes)

    def backward(self, *views, sets, **attributes):
        for name, view in zip(self.op.signature.backward, views):
            if name in sets:
                ops.zero.forward(view)
        self.op.backward(*views, **attributes)


def setting_kernels():
    backend = mg.Backend()
    backend.name = "setting"
    return Kernels([backend], {f"setting/{op.name}": Setting(op) for op in (*BINARY, *UNARY, ops.sum)})


graphs = st.builds(
    Graph,
    st.lists(st.tuples(st.sampled_from(BINARY + UNARY), st.integers(0, 50), st.integers(0, 50)), max_size=15),
    st.lists(st.integers(0, 50), max_size=3),
)


@hypothesis.given(graphs, st.sampled_from([None, setting_kernels()]), st.integers(0, 3))
@hypothesis.settings(deadline=None, max_examples=200)
def test_any_graph_replays_to_the_same_bits_on_poisoned_memory(graph, kernels, size):
    eager = [bytes(t.data) for t in graph(*graph.inputs)]
    eager_gradients = graph.gradients()
    segments = graph.segments(size)
    assert poisoned(graph, graph.inputs, kernels=kernels, recompute=segments) == eager
    assert graph.gradients() == eager_gradients
    plan = mg.plan_of(graph, *graph.inputs, recompute=segments)
    assert overlaps(plan.values) == []
    assert plan.peak_live_bytes == peak([v for v in plan.values if v.offset is not None])


@hypothesis.given(graphs, st.sampled_from([None, setting_kernels()]), st.integers(0, 3))
@hypothesis.settings(deadline=None, max_examples=200)
def test_any_graph_computes_its_gradients_anew_where_its_values_were(graph, kernels, size):
    graph(*graph.inputs)
    touched = [leaf for leaf in graph.leaves if leaf.grad is not None]
    eager = graph.gradients()
    fresh = [leaf.gradient for leaf in touched]
    for i, value in enumerate(fresh):
        value.name = f"gradient {i}"
    allocate_together(fresh)
    poisoned(graph, graph.inputs, kernels=kernels, recompute=graph.segments(size), fresh=fresh)
    assert [bytes(value.data) for value in fresh] == [gradient for gradient in eager if gradient is not None]


def chain():
    return Graph([(ops.mul, 0, 2), (ops.relu2, 4, 0), (ops.softmax, 5, 0), (ops.mul, 6, 3), (ops.rmsnorm, 7, 0)], [])


def test_planted_a_lifetime_that_is_a_call_too_short_is_found():
    graph = chain()
    expected = [bytes(t.data) for t in graph(*graph.inputs)]

    def shorten(replay):
        shortened = next(v for v in replay.plan.values if v.role == "value" and v.last > v.first + 2)
        shortened.last -= 1

    assert poisoned(chain(), graph.inputs) == expected
    assert poisoned(chain(), graph.inputs, shorten) != expected


class Sneaky(mg.Op):
    """Planted: its backward reads x, which its signature doesn't name; it keeps the buffer from forward."""

    def shapes(self, x):
        return {"out": x}

    def forward(self, out, x):
        self.x = x
        mg.write(out, [v * v for v in x])

    def backward(self, d_x, d_out):
        mg.accumulate(d_x, [2 * v * d for v, d in zip(self.x, d_out)])


class Honest(Sneaky):
    def backward(self, d_x, d_out, x):
        mg.accumulate(d_x, [2 * v * d for v, d in zip(x, d_out)])


@pytest.mark.parametrize(("op", "right"), [(Honest(), True), (Sneaky(), False)])
def test_planted_an_op_that_reads_what_its_signature_does_not_name_is_found(op, right):
    leaf = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)

    def step():
        ops.sum(op(leaf * 2)).backward()

    step()
    eager = leaf.grad.tolist()
    leaf.zero_grad()
    poisoned(step, [])
    assert (leaf.grad.tolist() == eager) is right


def test_a_region_that_grew_leaves_no_memory_behind() -> None:
    """The plans made before are placed again in the new memory, or each would keep its own."""
    double = Captured(lambda x: x + x, quiet=True)
    small, large = tensor([1.0] * 4), tensor([1.0] * 4096)
    before = weakref.ref(double(small).data.obj)
    double(large)
    assert double.captures == 2
    assert double(small).tolist() == [2.0] * 4
    assert double.captures == 2  # placed again, not captured again
    gc.collect()
    assert before() is None
