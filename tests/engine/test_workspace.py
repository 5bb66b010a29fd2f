"""What a kernel is lent: asked for once with all that is known of a call, shared by the calls of a plan, counted."""

from functools import partial

import pytest

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.components import Backend, Kernel
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.context import use_kernels


class Lending(Backend):
    name = "lending"


class Scale(Kernel):
    """Works by the reference, and asks for as many bytes as its factor."""

    def __init__(self):
        self.asked, self.lent, self.runs = [], [], 0

    def workspace(self, method, shapes, formats, attributes):
        self.asked.append((method, dict(shapes), dict(formats), dict(attributes)))
        return int(attributes["factor"])

    def prepare(self, method, views, attributes, workspace):
        self.lent.append(workspace)
        return partial(self.run, partial(getattr(ops.scale, method), *views.values(), **attributes), workspace)

    def run(self, compute, workspace):
        self.runs += 1
        if workspace is not None:
            workspace[:] = bytes([self.runs]) * len(workspace)
        compute()

    def forward(self, out, x, *, factor): ...

    def backward(self, d_x, d_out, *, factor): ...


class Careless(Scale):
    """Planted: takes what it left in its workspace for granted."""

    def run(self, compute, workspace):
        super().run(compute, workspace)
        self.kept = [w if w is None else w.tobytes() for w in self.lent]


def kernels_with(kernel):
    return Kernels([Lending()], {"lending/scale": kernel})


X = mg.tensor([[1.0, 2.0]])


def test_a_kernel_is_asked_with_all_that_is_known_of_the_call():
    kernel = Scale()
    leaf = mg.tensor([[1.0, 2.0]], requires_grad=True)

    def step(x):
        ops.sum(ops.scale(ops.scale(leaf, factor=3.0) + ops.scale(x, factor=4.0), factor=5.0)).backward()

    plan = mg.plan_of(step, X, kernels=kernels_with(kernel))
    assert ("forward", {"out": (1, 2), "x": (1, 2)}, {"out": "f", "x": "f"}, {"factor": 4.0}) in kernel.asked
    assert ("backward", {"d_x": (1, 2), "d_out": (1, 2)}, {"d_x": "f", "d_out": "f"}, {"factor": 5.0}) in kernel.asked
    assert [c.workspace for c in plan.calls if c.op.name == "scale"] == [3, 4, 5, 5, 3]
    assert kernel.lent == []  # a plan alone takes no memory


def test_the_calls_of_a_plan_share_what_they_are_lent():
    kernel = Scale()
    step = mg.capture(
        lambda x: ops.scale(ops.scale(ops.scale(x, factor=3.0), factor=0.0), factor=100.0),
        X,
        kernels=kernels_with(kernel),
    )
    assert [w if w is None else len(w) for w in kernel.lent] == [3, None, 100]
    step(X)
    assert kernel.lent[0].tobytes() == kernel.lent[2].tobytes()[:3] == b"\x03\x03\x03"
    assert step.region.nbytes >= step.plan.region_bytes + 100
    before = len(kernel.lent)
    step(X)
    assert len(kernel.lent) == before  # prepared once


def test_planted_what_a_run_leaves_there_is_gone():
    kernel = Careless()
    mg.capture(lambda x: ops.scale(ops.scale(x, factor=3.0), factor=4.0), X, kernels=kernels_with(kernel))(X)
    assert kernel.kept[0] != b"\x01\x01\x01"


def test_eager_code_gets_its_own():
    kernel = Scale()
    with use_kernels(kernels_with(kernel)):
        assert (X * 3).tolist() == [[3.0, 6.0]]
        assert (X * 0.0).tolist() == [[0.0, 0.0]]
    assert [w if w is None else len(w) for w in kernel.lent] == [3, None]


def test_what_is_lent_lies_beside_the_values():
    """A workspace full of anything changes no result."""
    kernel = Scale()
    step = mg.capture(lambda x: ops.scale(x + x, factor=200.0) + x, X, kernels=kernels_with(kernel))
    for _ in range(3):
        assert step(X).tolist() == [[401.0, 802.0]]


@pytest.mark.parametrize("factor", [0.0, 5.0])
def test_a_kernel_without_prepare_is_called_with_its_views(factor):
    class Plain(Kernel):
        def forward(self, out, x, *, factor):
            ops.scale.forward(out, x, factor=factor)

    step = mg.capture(lambda x: ops.scale(x, factor=factor), X, kernels=kernels_with(Plain()))
    assert step(X).tolist() == [[factor, 2 * factor]]
