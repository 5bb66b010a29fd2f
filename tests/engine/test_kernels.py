"""Who runs an op: the order of backends, their reasons, what is forced, and gradients that a kernel sets."""

import json

import pytest

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.components import Backend, Kernel
from microgpt_core.engine.backends import REFERENCE, Kernels, Reference
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.context import context, use_kernels
from microgpt_core.errors import ConfigurationError, UnknownNameError


class Fast(Backend):
    name = "fast"

    def __init__(self):
        self.views = 0

    def view(self, buffer):
        self.views += 1
        return mg.flat(buffer)


class Slow(Backend):
    name = "slow"


class Scale(Kernel):
    """The same numbers as the reference's; it counts its calls."""

    def __init__(self):
        self.calls = []

    def forward(self, out, x, *, factor):
        self.calls.append("forward")
        ops.scale.forward(out, x, factor=factor)

    def backward(self, d_x, d_out, *, factor):
        self.calls.append("backward")
        mg.accumulate(d_x, [factor * d for d in d_out])


class SmallScale(Scale):
    def supports(self, shapes, formats):
        if formats["x" if "x" in formats else "d_x"] != "f":
            return "only float32"
        return None if shapes.get("x", (1,)) == (1,) else "only one number"


class ForwardOnly(Kernel):
    def forward(self, out, x, *, factor):
        ops.scale.forward(out, x, factor=factor)


def choices(kernels, x):
    """Method -> backend and refusals of every scale in a captured step."""

    def step(v):
        ops.sum(ops.scale(v, factor=2.0)).backward()

    leaf = mg.tensor(x.data, requires_grad=True)
    plan = mg.plan_of(lambda: step(leaf), kernels=kernels)
    return {c.method: (c.backend, c.refusals) for c in plan.calls if c.op.name == "scale"}


ONE, TWO, WIDE = mg.tensor([1.0]), mg.tensor([1.0, 2.0]), mg.tensor([1.0], "float64")
BOTH = {"fast/scale": Scale, "slow/scale": Scale}
CHOSEN = [  # backends, kernels, forced, input; who runs forward and backward, and what others said
    ("nothing but the reference", [], {}, {}, ONE, ("reference", []), ("reference", [])),
    ("the first that can", [Fast, Slow], BOTH, {}, ONE, ("fast", []), ("fast", [])),
    ("the order given", [Slow, Fast], BOTH, {}, ONE, ("slow", []), ("slow", [])),
    ("the reference is always last", [Reference, Fast], {"fast/scale": Scale}, {}, ONE, ("fast", []), ("fast", [])),
    ("no kernel", [Fast, Slow], {"slow/scale": Scale}, {}, ONE,
     ("slow", ["fast: has no kernel"]), ("slow", ["fast: has no kernel"])),
    ("a shape refused", [Fast], {"fast/scale": SmallScale}, {}, TWO,
     ("reference", ["fast: only one number"]), ("fast", [])),
    ("a format refused", [Fast], {"fast/scale": SmallScale}, {}, WIDE,
     ("reference", ["fast: only float32"]), ("reference", ["fast: only float32"])),
    ("half a kernel", [Fast], {"fast/scale": ForwardOnly}, {}, ONE,
     ("fast", []), ("reference", ["fast: has no backward"])),
    ("forced to another", [Fast, Slow], BOTH, {"scale": "slow"}, ONE, ("slow", []), ("slow", [])),
    ("forced to the reference", [Fast], {"fast/scale": Scale}, {"scale": "reference"}, ONE,
     ("reference", []), ("reference", [])),
    ("another op forced", [Fast], {"fast/scale": Scale}, {"sum": "reference"}, ONE, ("fast", []), ("fast", [])),
]  # fmt: skip


@pytest.mark.parametrize(
    ("backends", "table", "forced", "x", "forward", "backward"), [row[1:] for row in CHOSEN], ids=[r[0] for r in CHOSEN]
)
def test_who_runs_an_op_and_what_the_others_said(backends, table, forced, x, forward, backward):
    kernels = Kernels([b() for b in backends], {name: kernel() for name, kernel in table.items()}, forced)
    assert choices(kernels, x) == {"forward": forward, "backward": backward}


def test_forcing_an_unknown_backend_is_an_error_at_once():
    with pytest.raises(UnknownNameError, match=r"unknown backend 'fsat' \(did you mean 'fast'\?\).*the op 'scale'"):
        Kernels([Fast()], {}, {"scale": "fsat"})


@pytest.mark.parametrize(("table", "reason"), [({}, "fast: has no kernel"), ({"fast/scale": SmallScale()}, "only one")])
def test_forcing_a_backend_that_can_not_is_an_error_with_the_reason(table, reason):
    kernels = Kernels([Fast()], table, {"scale": "fast"})
    with pytest.raises(
        ConfigurationError, match=f"scale.forward is forced onto a backend that can't run it: .*{reason}"
    ):
        mg.plan_of(lambda x: x * 2, TWO, kernels=kernels)


def test_eager_code_runs_on_the_kernels_in_use():
    kernel = Scale()
    kernels = Kernels([Fast()], {"fast/scale": kernel})
    x = mg.tensor([2.0], requires_grad=True)
    with use_kernels(kernels):
        y = x * 3
        with use_kernels(REFERENCE):
            x * 3
        y.backward()
    x * 3
    assert context.kernels is REFERENCE
    assert kernel.calls == ["forward", "backward"]
    assert (y.item(), x.grad.item()) == (6.0, 3.0)


def test_a_plan_prepares_its_kernels_once():
    kernel, backend = Scale(), Fast()
    step = mg.capture(lambda x: x * 3, ONE, kernels=Kernels([backend], {"fast/scale": kernel}))
    assert (kernel.calls, backend.views) == ([], 2)
    for i in range(4):
        assert step(mg.tensor([float(i)])).item() == 3.0 * i
    assert (kernel.calls, backend.views) == (["forward"] * 4, 2)
    with use_kernels(REFERENCE):  # a plan has its own
        step(ONE)
    assert len(kernel.calls) == 5


def test_a_plan_counts_its_fallbacks():
    kernels = Kernels([Fast()], {"fast/scale": Scale()})
    plan = mg.plan_of(lambda x: ops.sum(ops.relu(x * 3) + ops.relu(x)), TWO, kernels=kernels)
    assert plan.fallbacks() == {"relu": 2, "add": 1, "sum": 1}
    assert mg.plan_of(lambda x: ops.relu(x), TWO).fallbacks() == {}
    assert json.dumps(plan.to_dict()["calls"][1]["refusals"]) == '["fast: has no kernel"]'


class Setting(Kernel):
    """Runs an op by the reference, but writes the gradients that it is told to set."""

    def __init__(self, op, sets):
        self.op, self.sets = op, sets

    def forward(self, *views, **attributes):
        self.op.forward(*views, **attributes)

    def backward(self, *views, sets, **attributes):
        for name, view in zip(self.op.signature.backward, views):
            if name in sets:
                mg.write(view, [0.0] * len(mg.flat(view)))
        self.op.backward(*views, **attributes)


class Forgetting(Setting):
    """Planted: says that it sets, and adds all the same."""

    def backward(self, *views, sets, **attributes):
        self.op.backward(*views, **attributes)


LEAF = mg.tensor([2.0, -3.0], requires_grad=True)


def once(x):
    return ops.scale(LEAF * x, factor=3.0)


def twice(x):
    y = LEAF * x
    return ops.scale(y, factor=3.0) + ops.scale(y, factor=4.0)


def squared(x):
    y = LEAF * x
    return y * y


def directly(x):
    return ops.scale(LEAF, factor=3.0) * x


SETTING = {"scale": ("d_x",), "sum": ("d_x",), "add": ("d_b",), "mul": ("d_a", "d_b")}
SET = [  # what is summed, the gradients set by each call, and how many are filled with zeros instead
    ("every gradient has one writer", once, ["sum d_x", "scale d_x"], 0),
    ("two writers: the first sets, and add's d_a is no kernel's to set", twice, ["sum d_x", "add d_b", "scale d_x"], 1),
    ("one tensor twice in one call", squared, ["sum d_x"], 1),
    ("a leaf's gradient, which outlives the plan", directly, ["sum d_x", "mul d_a"], 0),
]


def in_eager_code(f):
    LEAF.zero_grad()
    ops.sum(f(mg.tensor([0.5, 4.0]))).backward()
    return LEAF.grad.tolist()


def on_poisoned_memory(kind, f):
    """A captured step on kernels that set, in a region full of NaN: its plan, and the leaf's gradient."""
    kernels = Kernels([Slow()], {f"slow/{name}": kind(ops.OPS[name], sets) for name, sets in SETTING.items()})
    x = mg.tensor([0.5, 4.0])
    step = mg.capture(lambda x: ops.sum(f(x)).backward(), x, kernels=kernels)
    region = step.region.view(0, (step.region.nbytes,), "B", step.region.nbytes)
    region[:] = b"\xff" * step.region.nbytes
    LEAF.zero_grad()
    step(x)
    return step.plan, LEAF.grad.tolist()


@pytest.mark.parametrize(("f", "sets", "zeros"), [row[1:] for row in SET], ids=[row[0] for row in SET])
def test_a_kernel_sets_the_gradients_that_it_is_first_to_write(f, sets, zeros):
    expected = in_eager_code(f)
    plan, gradient = on_poisoned_memory(Setting, f)
    assert gradient == expected
    assert [f"{c.op.name} {name}" for c in plan.calls for name in c.sets] == sets
    assert [c.op.name for c in plan.calls].count("zero") == zeros


class Gather(mg.Op):
    """Forward adds to what it is given, as a pass's op may that computes a gradient on its way forward."""

    mutates = ("total",)

    def shapes(self, x, total):
        return {"out": x}

    def forward(self, out, x, total):
        mg.write(out, mg.flat(x))
        mg.accumulate(total, mg.flat(x))


class SettingGather(Kernel):
    sets = ("total",)

    def forward(self, out, x, total, *, sets):
        if "total" in sets:
            mg.write(total, [0.0] * len(total))
        Gather().forward(out, x, total)


@pytest.mark.parametrize("fresh", [True, False])
def test_forward_sets_a_gradient_that_is_computed_anew(fresh):
    leaf = mg.tensor([2.0, -3.0], requires_grad=True)
    ops.sum(leaf).backward()
    total = leaf.grad
    kernels = Kernels([Slow()], {"slow/gather": SettingGather()})
    step = Captured(lambda x: Gather()(x, total), kernels=kernels, fresh=[leaf.gradient] if fresh else [])
    step(TWO)
    assert [c.sets for c in step.plan.calls] == [("total",) if fresh else ()]
    assert total.tolist() == [x + (not fresh) for x in TWO.tolist()]


def test_planted_a_kernel_that_does_not_set_what_it_says():
    assert on_poisoned_memory(Forgetting, once)[1] != in_eager_code(once)
