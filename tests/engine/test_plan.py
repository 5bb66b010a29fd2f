"""Plans: what each pass of the planner does, what can be watched, and a plan as data."""

import json
import random
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.engine import planner
from microgpt_core.engine.backends import REFERENCE, Choice, Reference
from microgpt_core.engine.plan import PlanValue
from microgpt_core.engine.planner import Line
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_core.errors import CaptureError, UnknownNameError

X = mg.tensor([1.0, 2.0, 3.0])


def ops_of(plan):
    return [f"{c.op.name}.{c.method}" for c in plan.calls]


def value(size=1, **more):
    return Value((size,), "f", **more)


def scaled(out, x):
    return Call(ops.scale, "forward", {"out": out, "x": x}, {"factor": 2.0})


def scaled_back(d_x, d_out):
    return Call(ops.scale, "backward", {"d_x": d_x, "d_out": d_out}, {"factor": 2.0}, inputs=((1,),))


def line(call):
    return Line(call, Choice(Reference(), call.op))


class TestPrune:
    def test_what_nobody_reads_is_dropped_with_all_that_only_it_read(self):
        x, a, b, c, d = (value() for _ in range(5))
        calls = [scaled(a, x), scaled(b, a), scaled(c, x), scaled(d, c)]
        assert planner.prune(calls, [b]) == calls[:2]
        assert planner.prune(calls, [c, b]) == calls[:3]
        assert planner.prune(calls, []) == []

    def test_what_changes_something_outside_of_the_plan_stays(self):
        w, g, x, a, d = value(persistent=True), value(persistent=True), value(), value(), value()
        move = Call(ops.zero, "forward", {"x": w}, {})
        calls = [scaled(a, x), move, scaled_back(g, d)]
        assert planner.prune(calls, []) == calls[1:]

    def test_what_moves_a_dead_value_of_the_plan_goes(self):
        x, a = value(), value()
        assert planner.prune([scaled(a, x), Call(ops.zero, "forward", {"x": a}, {})], []) == []

    def test_a_loss_that_is_only_returned_needs_no_gradients(self):
        w = mg.tensor([1.0, 2.0, 3.0])
        unused = mg.plan_of(lambda x: [ops.sum(x * w), ops.relu(ops.softmax(x))][0], X)
        assert ops_of(unused) == ["mul.forward", "sum.forward"]


class TestFill:
    def filled(self, calls, inputs=(), kept=()):
        lines = planner.fill([line(c) for c in calls], inputs, kept, REFERENCE)
        return [ln.call.op.name for ln in lines], lines

    def test_a_gradient_is_zeroed_right_before_its_first_addition_and_once(self):
        d_out, d_x = value(), value()
        d_x.gradient_of = value()
        names, lines = self.filled([scaled_back(d_x, d_out), scaled_back(d_x, d_out)], [d_out])
        assert names == ["zero", "scale", "scale"]
        assert lines[0].call.arguments == {"x": d_x}

    def test_gradients_outside_of_the_plan_are_never_zeroed(self):
        d_out, d_x = value(), value(persistent=True)
        assert self.filled([scaled_back(d_x, d_out)], [d_out])[0] == ["scale"]

    @pytest.mark.parametrize("kept", [False, True])
    def test_what_nothing_has_computed_can_not_be_read_or_returned(self, kept):
        lost, out = value(), value()
        with pytest.raises(CaptureError, match="nothing in this capture has computed"):
            self.filled([] if kept else [scaled(out, lost)], kept=[lost] if kept else [])


class TestLifetimes:
    def test_from_the_first_call_that_names_a_value_to_the_last(self):
        x, unused, a, b, c = (value() for _ in range(5))
        lines = [line(scaled(a, x)), line(scaled(b, a)), line(scaled(c, a)), line(scaled_back(b, c))]
        first, last = planner.lifetimes(lines, [x, unused], [a])
        assert {v: (first[v], last[v]) for v in (x, unused, b, c)} == {x: (0, 0), unused: (0, 0), b: (1, 3), c: (2, 3)}
        assert (first[a], last[a]) == (0, len(lines))  # kept to the end

    def test_backward_keeps_alive_what_its_signature_names_and_nothing_else(self):
        w = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)

        def step(x):
            reads_nothing = ops.scale(w * x, factor=2.0)  # scale's backward reads neither out nor x
            reads_input = ops.relu2(reads_nothing)  # relu2's reads its input
            ops.sum(reads_input).backward()

        plan = mg.plan_of(step, X)
        back = {c.op.name: i for i, c in enumerate(plan.calls) if c.method == "backward"}
        last = {v.name: v.last for v in plan.values}
        assert last["mul.out"] < back["sum"]  # the mul's output is gone before backward begins
        assert last["scale.out"] == back["relu2"]
        assert last["input 0"] == back["mul"]


class TestNames:
    def test_values_are_called_after_the_scope_that_computed_them(self):
        w = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
        w.value.name = "w"

        def step(x):
            with mg.scope("block.0"):
                y = ops.softmax(x * w)
            loss = ops.sum(y)
            loss.backward()
            return loss, w.grad

        names = [v.name for v in mg.plan_of(step, X).values]
        assert names[:5] == ["input 0", "block.0.mul.out", "w", "block.0.softmax.out", "sum.out"]
        assert {"grad w", "grad block.0.softmax.out", "grad sum.out"} < set(names)

    def test_the_scope_around_a_capture_is_not_part_of_it(self):
        def step(x):
            with mg.scope("inside"):
                return x * 2

        with mg.scope("outside"):
            plan = mg.plan_of(step, X)
            assert mg.tape(mg.tensor([1.0], requires_grad=True) * 2).endswith("# outside")
        assert [c.scope for c in plan.calls] == ["inside"]


def gpt(n_layer=2, n_embd=8, vocab_size=11, block_size=6, precision="float32", allocate=True, n_head=2):
    model = mg.GPT(
        vocab_size=vocab_size,
        block_size=block_size,
        n_layer=n_layer,
        n_head=n_head,
        n_embd=n_embd,
        init_output_std=0.02,
    )
    if allocate:
        model.allocate(precision)
        model.initialise(random.Random(3))
    else:
        model.set_precision(precision)
    return model


def ids(*shape):
    return mg.Tensor(Value(shape, "i"))


def step_of(model):
    def step(tokens, targets, positions):
        loss = ops.cross_entropy(model(tokens, positions), targets)
        loss.backward()
        return loss

    return step


WATCHED = [
    (["block.*.attention.q"], ["block.0.attention.q", "block.1.attention.q"]),
    (["block.1.mlp.fc?"], ["block.1.mlp.fc1", "block.1.mlp.fc2"]),
    (["lm_head", "grad lm_head"], ["lm_head", "grad lm_head"]),
    (["grad block.0.*.o"], ["grad block.0.attention.o"]),
    (["grad block.0.attention.q", "lm_head"], ["lm_head", "grad block.0.attention.q"]),
    ([], []),
]


@pytest.mark.parametrize(("patterns", "scopes"), WATCHED)
def test_watched_scopes(patterns, scopes):
    plan = mg.plan_of(step_of(gpt(allocate=False)), ids(1, 6), ids(1, 6), ids(1, 6), watch=patterns)
    assert list(plan.watched) == scopes
    for scope, index in plan.watched.items():
        assert plan.values[index].name == scope
        assert plan.values[index].last == len(plan.calls)


MISSPELT = [
    (["lm_head", "block.*.atention.q"], r"'block.\*.atention.q' \(did you mean 'block.\*.attention.q'\?\)"),
    (["block.2.mlp"], r"'block.2.mlp' \(did you mean 'block.\*.mlp'\?\); known: block.\*, block.\*.attention, "),
    (["gradient block.0.mlp"], "'gradient block.0.mlp' .*; known: .*. `grad ` before a scope means its gradient"),
    (["grad wtee"], r"'grad wtee'.*; known: .*, wte"),
]


@pytest.mark.parametrize(("patterns", "message"), MISSPELT)
def test_a_pattern_that_no_scope_matches_is_an_error(patterns, message):
    with pytest.raises(UnknownNameError, match=f"unknown scope to watch {message}"):
        mg.plan_of(step_of(gpt(allocate=False)), ids(1, 6), ids(1, 6), ids(1, 6), watch=patterns)


def test_all_can_be_watched_where_there_is_nothing_and_a_gradient_where_there_is_none():
    assert mg.plan_of(lambda x: x * 2, X, watch=["*", "grad *"]).watched == {}
    model = gpt(allocate=False)
    assert list(mg.plan_of(model, ids(1, 6), ids(1, 6), watch=["lm_head", "grad lm_head"]).watched) == ["lm_head"]
    with pytest.raises(UnknownNameError, match="unknown scope to watch 'a'; known: none"):
        mg.plan_of(lambda x: x * 2, X, watch=["a"])


def test_every_gradient_between_can_be_watched():
    plan = mg.plan_of(step_of(gpt(allocate=False)), ids(1, 6), ids(1, 6), ids(1, 6), watch=["grad block.*"])
    parts = ["", ".attention_norm", ".attention", ".attention.q", ".attention.k", ".attention.v", ".attention.o"]
    parts += [".mlp_norm", ".mlp", ".mlp.fc1", ".mlp.fc2"]
    assert set(plan.watched) == {f"grad block.{i}{part}" for i in range(2) for part in parts}


def test_watching_changes_no_number_and_is_read_only():
    model = gpt()
    batch = [mg.tensor([[1, 2, 3]], "int32"), mg.tensor([[2, 3, 4]], "int32"), mg.tensor([[0, 1, 2]], "int32")]
    results = []
    for watch in ((), ("*",)):
        step = mg.capture(step_of(model), *batch, watch=watch)
        ops.zero(model.gradients)
        loss = step(*batch).item()
        results.append((loss, bytes(model.gradients.data)))
    assert results[0] == results[1]
    seen = step.replay_for(*batch).watched()
    assert len(seen) > 30
    with pytest.raises(TypeError):
        mg.flat(seen["lm_head"])[0] = 1.0
    with mg.no_grad():
        logits = model(batch[0], batch[2])
    assert bytes(seen["lm_head"]) == bytes(logits.data)


HERE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import microgpt_core as mg
from test_plan import gpt, ids, step_of
"""
DIGEST = """
print(mg.plan_of(step_of(gpt(allocate=False)), ids(2, 6), ids(2, 6), ids(2, 6), watch=["block.*"]).digest)
"""


def test_the_digest_is_the_same_in_every_process(run_python):
    here = mg.plan_of(step_of(gpt(allocate=False)), ids(2, 6), ids(2, 6), ids(2, 6), watch=["block.*"]).digest
    assert {run_python(HERE + DIGEST, PYTHONHASHSEED=seed).strip() for seed in ("0", "7")} == {here}


def test_the_digest_tells_plans_apart():
    def digest(factor=2.0, x=X, keep=False, scope="s"):
        def step(x):
            with mg.scope(scope):
                y = x * factor
                z = ops.relu(y)
            return (y, z) if keep else z

        return mg.plan_of(step, x).digest

    others = [digest(factor=3.0), digest(x=mg.tensor([1.0])), digest(x=mg.tensor([1.0] * 3, "float64"))]
    others += [digest(keep=True), digest(scope="t")]
    assert digest() == digest()
    assert len({digest(), *others}) == 6
    moved = mg.plan_of(lambda x: x * 2, X)
    shifted = replace(moved, values=[replace(v, offset=(v.offset or 0) + 64) for v in moved.values])
    assert shifted.digest != moved.digest


def test_a_plan_is_json():
    def step(x):
        return ops.clip_factor(ops.sum(ops.relu(x)), max_norm=float("inf"))

    plan = mg.plan_of(step, X)
    data = json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    assert data == plan.to_dict()
    assert data["calls"][2]["attributes"] == {"max_norm": "inf"}
    assert [c["op"] for c in data["calls"]] == ["relu", "sum", "clip_factor"]
    first = {"name": "input 0", "shape": [3], "dtype": "float32", "role": "input", "bytes": 12, "first": 0, "last": 0}
    assert data["values"][0].items() > first.items()
    assert data["flops"] == sum(c["flops"] for c in data["calls"])


def test_costs_are_counted_for_the_gradients_that_are_wanted():
    w = mg.tensor([[0.5] * 3] * 2, requires_grad=True)
    plan = mg.plan_of(lambda x: ops.sum(ops.linear(x, w)).backward(), mg.tensor([[1.0, 2.0, 3.0]]))
    flops = {f"{c.op.name}.{c.method}": c.flops for c in plan.calls}
    assert flops["linear.forward"] == flops["linear.backward"] == 2 * 3 * 2  # d_weight, but no d_x
    moved = {f"{c.op.name}.{c.method}": c.bytes for c in plan.calls}
    assert moved["linear.backward"] == 4 * (2 * 6 + 2 + 3 + 6)  # d_weight read and written; d_out, x, weight read
    assert plan.flops == sum(flops.values())


SHAPES = [  # n_layer, n_embd, n_head, vocabulary, block size, batch, the most that the region may exceed its floor by
    (1, 16, 4, 27, 8, 1, 1.03),
    (2, 64, 4, 27, 16, 1, 1.002),
    (4, 128, 4, 27, 32, 1, 1.002),
    (6, 384, 6, 65, 256, 16, 1.002),
    (12, 768, 12, 50257, 256, 4, 1.002),
]


@pytest.mark.parametrize(("n_layer", "n_embd", "n_head", "vocab", "block", "batch", "excess"), SHAPES)
def test_the_region_is_hardly_larger_than_what_is_alive_at_once(n_layer, n_embd, n_head, vocab, block, batch, excess):
    model = gpt(n_layer, n_embd, vocab, block, allocate=False, n_head=n_head)
    plan = mg.plan_of(step_of(model), *[ids(batch, block)] * 3)
    ratio = plan.region_bytes / plan.peak_live_bytes
    print(f"{n_layer} x {n_embd}: {plan.region_bytes:,} bytes, {ratio:.4f} of the floor")
    assert 1.0 <= ratio <= excess


def test_a_deep_model_is_planned_whole():
    plan = mg.plan_of(step_of(gpt(154, 16, 27, 8, allocate=False)), *[ids(1, 8)] * 3)
    assert len(plan.values) > 6000
    assert plan.peak_live_bytes <= plan.region_bytes <= 1.2 * plan.peak_live_bytes


@pytest.mark.parametrize("recompute", [0, 1])
def test_a_billion_parameters_take_no_more_planning_than_a_few(recompute):
    """As many calls and values: nothing in a plan grows with the numbers."""
    segments = [[f"block.{i}"] for i in range(22)] if recompute else []
    large, small = (
        (gpt(22, width, 32000, block, allocate=False, n_head=32), [ids(8, block)] * 3)
        for width, block in ((2048, 2048), (32, 8))
    )
    assert 1.1e9 < large[0].n_parameters < 1.3e9
    plan, little = (mg.plan_of(step_of(model), *inputs, recompute=segments) for model, inputs in (large, small))
    assert (len(plan.calls), len(plan.values)) == (len(little.calls), len(little.values))
    assert 1.0 <= plan.region_bytes / plan.peak_live_bytes <= 1.01


def test_planning_gpt2_allocates_no_memory():
    model = gpt(12, 768, 50257, 256, allocate=False, n_head=12)
    tracemalloc.start()
    try:
        plan = mg.plan_of(step_of(model), *[ids(4, 256)] * 3)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert plan.region_bytes > 2**29
    assert peak < 2**23
    assert all(p.value.data is None for p in model.parameters())


def lives(*rows):
    return [PlanValue(str(i), (size,), "B", "value", None, first, last) for i, (size, first, last) in enumerate(rows)]


LAYOUTS = [  # (bytes, first call, last call) of each value, and the bytes of the region
    ([], 0),
    ([(64, 0, 1)], 64),
    ([(1, 0, 1)], 64),
    ([(64, 0, 1), (64, 2, 3)], 64),  # one after the other
    ([(64, 0, 1), (64, 1, 2)], 128),  # both needed by call 1
    ([(128, 0, 1), (64, 2, 3), (64, 2, 3)], 128),  # two in the place of one
    ([(64, 0, 9), (128, 0, 3), (128, 4, 9)], 192),
    ([(100, 0, 1), (100, 0, 1)], 256),  # aligned to 64 bytes
]


@pytest.mark.parametrize(("rows", "nbytes"), LAYOUTS)
def test_layouts(rows, nbytes):
    assert planner.lay_out(lives(*rows)) == nbytes


def test_a_trace_tells_what_came_in_and_went_out():
    from microgpt_core.engine.capture import record

    trace, structure = record(lambda pair: {"a": pair[0] * 2, "b": None}, [(X, X)])
    assert isinstance(trace, Trace)
    assert [c.op.name for c in trace.calls] == ["scale"]
    assert len(trace.inputs) == 2
    assert list(structure) == ["a", "b"]
    assert structure["a"].node is None
