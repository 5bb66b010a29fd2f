"""When the pack's passes rewrite a plan, and when they leave it as it is. Their numbers are the kit's business."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.components import Pass
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.capture import Captured, plan_of, record
from microgpt_core.engine.plan import Plan
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.engine.value import Call, Trace
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.runs.backends import find_kernels
from microgpt_core.plugins.loader import load
from microgpt_core.text.batch import windows
from microgpt_core.training.loss import BatchLoss
from microgpt_simd.backend import Simd
from microgpt_simd.passes import activated_linear, bfloat16, selective_recompute, shared_gradient
from microgpt_simd.passes.activated_linear import FusedActivation
from microgpt_simd.passes.bfloat16 import BFloat16
from microgpt_simd.passes.fused_loss import FusedLoss
from microgpt_simd.passes.linear_qkv import FusedQKV
from microgpt_simd.passes.residual_norm import ResidualNorm
from microgpt_simd.passes.selective_recompute import SelectiveRecompute
from microgpt_simd.passes.shared_gradient import SharedGradient
from microgpt_simd.plugin import microgpt_passes

FUSED = "linear_cross_entropy"
LATER = ["shared-gradient", "selective-recompute", "residual-norm"]
FUSED_LAYERS = ["activated-linear", "linear-qkv"]


def plan(*passes: Pass, watch: Sequence[str] = (), of: str = "step", precision: str = "float32", **gpt: Any) -> Plan:
    """Of a training step, or of the loss's value."""
    model = GPT(vocab_size=7, block_size=4, n_layer=1, n_head=2, n_embd=4, **gpt)
    model.set_precision(precision)
    loss = BatchLoss(model)
    (inputs,) = loss.window_inputs([windows([1, 2, 3, 4, 5, 6], [0, 1], 4)])
    return plan_of(getattr(loss, of), *inputs, kernels=Kernels(passes=passes), watch=watch)


def ops_of(made: Plan) -> set[str]:
    return {call.op.name for call in made.calls}


def test_every_pass_but_the_precision_comes_by_itself() -> None:
    assert {f"simd/{name}" for name in microgpt_passes() if name != "bfloat16"} == set(Simd.passes)


def test_the_fused_loss_holds_no_logits() -> None:
    before, after = plan(), plan(FusedLoss())
    logits = (2, 4, 7)
    assert [v.shape for v in before.values].count(logits) == 2
    assert logits not in [v.shape for v in after.values]
    assert FUSED in ops_of(after)
    assert "cross_entropy" not in ops_of(after)
    assert after.region_bytes < before.region_bytes


@pytest.mark.parametrize(
    "given",
    [{"watch": ["lm_head"]}, {"watch": ["grad lm_head"]}, {"of": "value"}, {"precision": "float64"}],
    ids=["watched", "gradient watched", "evaluation", "float64"],
)
def test_what_cant_be_fused_stays_as_it_is(given: dict[str, Any]) -> None:
    assert plan(FusedLoss(), **given).digest == plan(**given).digest


@pytest.mark.parametrize("watch", [["block.*"], ["grad block.*"]])
def test_watching_something_else_is_no_hindrance(watch: list[str]) -> None:
    assert FUSED in ops_of(plan(FusedLoss(), watch=watch))


def test_a_tied_head_is_fused_as_well() -> None:
    assert FUSED in ops_of(plan(FusedLoss(), tie_weights=True))


def test_every_product_of_a_layer_is_in_bfloat16() -> None:
    made = plan(BFloat16())
    assert "linear" not in ops_of(made)
    assert [c.method for c in made.calls if c.op.name == "linear_bfloat16"].count("backward") == 7


def test_that_of_a_fused_loss_too() -> None:
    (fused,) = (call for call in plan(FusedLoss(), BFloat16()).calls if call.op.name == FUSED)
    assert fused.attributes["bfloat16"] is True


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["forward", "backward"]),
        ({"of": "value"}, ["forward"]),
        ({"window": 3}, []),
        ({"n_kv_head": 1}, ["forward", "backward"]),
    ],
    ids=str,
)
def test_attention_to_many_keys_is_in_bfloat16(
    given: dict[str, Any], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert calls_of(plan(BFloat16(), **given), "attention_bfloat16") == []  # to 4 at most
    monkeypatch.setattr(bfloat16, "LONG", 4)
    made = plan(BFloat16(), **given)
    assert calls_of(made, "attention_bfloat16") == expected
    assert bool(calls_of(made, "attention")) is not bool(expected)


def copies(made: Plan) -> list[tuple[str, ...]]:
    """Of each `add.backward`, the gradients that it still makes."""
    made_by = [c.arguments for c in made.calls if (c.op.name, c.method) == ("add", "backward")]
    return [tuple(name for name in ("d_a", "d_b") if arguments[name] is not None) for arguments in made_by]


def test_no_gradient_of_a_sum_is_copied() -> None:
    before, after = plan(), plan(SharedGradient())
    assert copies(before) == [("d_a", "d_b")] * 3
    assert copies(after) == []
    assert after.region_bytes <= before.region_bytes


def test_a_watched_gradient_stays_its_own() -> None:
    assert len(copies(plan(SharedGradient(), watch=["grad block.0.mlp"]))) == 1


def of_sum(x: Tensor, y: Tensor, z: Tensor) -> Any:
    return ops.tanh(x) + ops.tanh(y)


def of_itself(x: Tensor, y: Tensor, z: Tensor) -> Any:
    middle = ops.tanh(x)
    return middle + middle


def of_parameters(x: Tensor, y: Tensor, z: Tensor) -> Any:
    return x + ops.tanh(y)


def of_a_spread(x: Tensor, y: Tensor, z: Tensor) -> Any:
    return ops.tanh(x) + ops.tanh(z)


def of_both_again(x: Tensor, y: Tensor, z: Tensor) -> Any:
    a, b = ops.tanh(x), ops.tanh(y)
    return ops.relu(a) * ops.relu(b) + (a + b)


def of_one_that_is_read_first(x: Tensor, y: Tensor, z: Tensor) -> Any:
    b = ops.tanh(y)
    a = ops.tanh(x) * b
    return b + ops.relu(a)


def step_of(compute: Callable[..., Tensor]) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """The loss of a function with its gradients, and what they are the gradients of."""
    taken = [tensor(numbers, requires_grad=True) for numbers in ([[0.5, -0.3]] * 2, [[0.2, 0.7]] * 2, [0.1, 0.4])]

    def step() -> Tensor:
        loss: Tensor = ops.sum(compute(*taken))
        loss.backward()
        return loss

    return step, taken


def gradients_of(compute: Callable[..., Tensor], *passes: Pass) -> list[Any]:
    step, taken = step_of(compute)
    Captured(step, Kernels(passes=passes))()
    return [None if x.grad is None else x.grad.tolist() for x in taken]


SUMS = {
    of_sum: [],
    of_itself: [("d_a", "d_b")],
    of_parameters: [("d_a",)],
    of_a_spread: [("d_b",)],
    of_both_again: [("d_b",)],
    of_one_that_is_read_first: [],
}


@pytest.mark.parametrize("compute", SUMS, ids=lambda compute: compute.__name__)
def test_which_gradients_may_share(compute: Callable[..., Tensor]) -> None:
    assert copies(plan_of(step_of(compute)[0], kernels=Kernels(passes=[SharedGradient()]))) == SUMS[compute]
    assert gradients_of(compute, SharedGradient()) == gradients_of(compute)


def test_planted_gradients_that_share_too_freely_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are added to, each as if it were alone."""
    monkeypatch.setattr(shared_gradient, "first_change", lambda *_: float("inf"))
    assert gradients_of(of_both_again, SharedGradient()) != gradients_of(of_both_again)


def again(made: Plan) -> list[str]:
    """The ops that are made again, in order."""
    return [call.op.name for call in made.calls if call.again]


def test_small_values_are_kept() -> None:
    assert plan(SelectiveRecompute()).digest == plan().digest


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selective_recompute, "LARGE", 0)


@pytest.mark.parametrize(
    ("gpt", "expected"),
    [
        ({}, ["rmsnorm", "relu2", "rmsnorm", "rmsnorm"]),
        ({"activation": "gelu", "norm": "layernorm"}, ["layernorm", "gelu", "layernorm", "layernorm"]),
        ({"activation": "swiglu"}, ["rmsnorm", "swiglu", "rmsnorm", "rmsnorm"]),
    ],
    ids=str,
)
@pytest.mark.usefixtures("everything_is_large")
def test_norms_and_activations_are_made_again(gpt: dict[str, Any], expected: list[str]) -> None:
    """From the last to the first; dropout, whose numbers are drawn, isn't among them."""
    assert again(plan(SelectiveRecompute(), norm_embedding=False, norm_final=True, dropout=0.1, **gpt)) == expected


@pytest.mark.usefixtures("everything_is_large")
def test_a_value_that_somebody_keeps_is_made_once() -> None:
    without = again(plan(SelectiveRecompute(), norm_embedding=False))
    assert again(plan(SelectiveRecompute(), norm_embedding=False, watch=["block.0.mlp_norm"])) == without[:-1]


@pytest.mark.usefixtures("everything_is_large")
def test_where_nothing_goes_back_nothing_is_made_again() -> None:
    assert plan(SelectiveRecompute(), of="value").digest == plan(of="value").digest


def middle(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return ops.tanh(x * y) * y


def trace_in_which(changed: str | None) -> Trace:
    """Of `middle` and its gradients; before these, what tanh reads or makes is set to 0."""
    trace = record(step_of(middle)[0], ())[0]
    at = next(i for i, call in enumerate(trace.calls) if call.method == "backward")
    tanh = next(call for call in trace.calls if call.op is ops.tanh)
    if changed:
        trace.calls.insert(at, Call(ops.zero, "forward", {"x": tanh.arguments[changed]}, {}))
    return trace


@pytest.mark.parametrize(("changed", "expected"), [(None, 1), ("x", 0), ("out", 0)])
@pytest.mark.usefixtures("everything_is_large")
def test_what_has_changed_in_between_isnt_made_again(changed: str | None, expected: int) -> None:
    found = SelectiveRecompute().rewrite(trace_in_which(changed), [])
    assert sum(call.again for call in found.calls) == expected


@pytest.fixture
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activated_linear, "LEAST", 0)


def calls_of(made: Plan, op: str) -> list[str]:
    return [call.method for call in made.calls if call.op.name == op]


@pytest.mark.parametrize("activation", ["relu2", "gelu"])
@pytest.mark.usefixtures("nothing_is_small")
def test_nothing_of_an_activation_is_kept(activation: str) -> None:
    before, after = plan(activation=activation), plan(FusedActivation(), activation=activation)
    wide = (2, 4, 16)  # what goes into the activation, what comes out, and their gradients
    assert [v.shape for v in before.values].count(wide) == 4
    assert [v.shape for v in after.values].count(wide) == 2
    assert calls_of(after, "activated_linear") == ["forward", "backward"]
    assert calls_of(after, activation) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"of": "value"}, ["forward"]),
        ({"activation": "swiglu"}, []),
        ({"precision": "float64"}, []),
        ({"watch": ["block.0.mlp"]}, ["forward", "backward"]),
        ({"watch": ["block.0.mlp.fc1"]}, ["forward", "backward"]),
        ({"watch": ["grad block.0.mlp.fc1"]}, ["forward", "backward"]),
    ],
    ids=str,
)
@pytest.mark.usefixtures("nothing_is_small")
def test_where_an_activation_is_made_by_its_reader(given: dict[str, Any], expected: list[str]) -> None:
    assert calls_of(plan(FusedActivation(), **given), "activated_linear") == expected


def test_an_activation_is_kept_where_it_is_small_or_read_for_many_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(FusedActivation()).digest == plan().digest
    monkeypatch.setattr(activated_linear, "LEAST", 0)
    monkeypatch.setattr(activated_linear, "MOST", 3)  # of the 4 that there are
    assert plan(FusedActivation()).digest == plan().digest


def bent(x: Tensor, w: Tensor, change: Tensor) -> Any:
    return ops.linear(ops.tanh(x), w)


def bent_for_two(x: Tensor, w: Tensor, change: Tensor) -> Any:
    a = ops.tanh(x)
    return ops.linear(a, w) + a


def bent_and_read_otherwise(x: Tensor, w: Tensor, change: Tensor) -> Any:
    return ops.linear(ops.tanh(x), w) + ops.relu(x)


def bent_for_itself(x: Tensor, w: Tensor, change: Tensor) -> Any:
    """The result is the layer's weight, too."""
    a = ops.tanh(x)
    return ops.linear(a, a)


ONLY_ITS = [(bent, 2), (bent_for_two, 0), (bent_and_read_otherwise, 0), (bent_for_itself, 0)]


@pytest.mark.parametrize(("compute", "expected"), ONLY_ITS)
@pytest.mark.usefixtures("nothing_is_small")
def test_only_what_nobody_else_wants(compute: Callable[..., Any], expected: int) -> None:
    """Where x is read by another op, too, its gradient is a sum, and may have begun before this part of it."""

    def inner(x: Tensor, w: Tensor, change: Tensor) -> Any:
        return compute(x * 2.0, w, change)

    def loss() -> tuple[Callable[[], Tensor], list[Tensor]]:
        return step_of_two(inner)

    found = plan_of(loss()[0], kernels=Kernels(passes=[FusedActivation()]))
    assert len(calls_of(found, "activated_linear")) == expected
    assert numbers_of(inner, FusedActivation()) == numbers_of(inner)


def step_of_two(compute: Callable[..., Any]) -> tuple[Callable[[], Tensor], list[Tensor]]:
    taken = [tensor(numbers, requires_grad=True) for numbers in ([[0.5, -0.3]] * 3, [[0.2, 0.7], [0.4, -1.0]], [0.1])]

    def step() -> Tensor:
        loss: Tensor = ops.sum(compute(*taken))
        loss.backward()
        return loss

    return step, taken


def numbers_of(compute: Callable[..., Any], *passes: Pass) -> list[Any]:
    step, taken = step_of_two(compute)
    loss = Captured(step, Kernels(passes=passes))().item()
    return [loss, *(None if x.grad is None else x.grad.tolist() for x in taken)]


@pytest.mark.parametrize("changed", ["x", "out"])
@pytest.mark.usefixtures("nothing_is_small")
def test_an_activation_of_what_has_changed_since_is_kept(changed: str) -> None:
    trace = record(step_of_two(lambda x, w, _: ops.linear(ops.tanh(x * 2.0), w))[0], ())[0]
    at = next(i for i, call in enumerate(trace.calls) if call.op is ops.linear)
    assert len(FusedActivation().rewrite(trace, []).calls) == len(trace.calls) - 2
    trace.calls.insert(at, Call(ops.zero, "forward", {"x": trace.calls[at - 1].arguments[changed]}, {}))
    assert len(FusedActivation().rewrite(trace, []).calls) == len(trace.calls)


@pytest.mark.parametrize(
    ("wanted", "fewer"), [(("forward", "x"), 2), (("forward", "out"), 0), (("backward", "d_out"), 0)]
)
@pytest.mark.usefixtures("nothing_is_small")
def test_an_activation_that_is_wanted_afterwards_is_kept(wanted: tuple[str, str], fewer: int) -> None:
    trace = record(step_of_two(lambda x, w, _: ops.linear(ops.tanh(x * 2.0), w))[0], ())[0]
    method, name = wanted
    (value,) = (call.arguments[name] for call in trace.calls if call.op is ops.tanh and call.method == method)
    assert value is not None
    assert len(FusedActivation().rewrite(trace, [value]).calls) == len(trace.calls) - fewer


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["forward", "backward"]),
        ({"of": "value"}, ["forward"]),
        ({"position": "rope"}, ["forward", "backward"]),
        ({"watch": ["block.0.attention.q", "grad block.0.attention.k"]}, ["forward", "backward"]),
        ({"precision": "float64"}, []),
    ],
    ids=str,
)
def test_q_k_and_v_are_one_call(given: dict[str, Any], expected: list[str]) -> None:
    made = plan(FusedQKV(), **given)
    assert calls_of(made, "linear_qkv") == expected
    assert {call.scope for call in made.calls if call.op.name == "linear_qkv"} <= {"block.0.attention"}
    assert len(calls_of(plan(**given), "linear")) - len(calls_of(made, "linear")) == 3 * len(expected)


def of_three(x: Tensor, w: Tensor, change: Tensor) -> Any:
    """Three layers of one x whose weights are one."""
    return ops.linear(x, w) * ops.linear(x, w) + ops.linear(x, w)


def of_two(x: Tensor, w: Tensor, change: Tensor) -> Any:
    return ops.linear(x, w) * ops.linear(x, w * 2.0)


def one_after_the_other(x: Tensor, w: Tensor, change: Tensor) -> Any:
    """The third weight is made of what the first two layers give."""
    a, b = ops.linear(x, w), ops.linear(x, w * 2.0)
    return ops.linear(x, a * b)


def of_its_own_weight(x: Tensor, w: Tensor, change: Tensor) -> Any:
    return ops.linear(x, x) + ops.linear(x, x * 2.0) * ops.linear(x, x * 3.0)


@pytest.mark.parametrize("compute", [of_three, of_two, one_after_the_other, of_its_own_weight])
def test_three_layers_that_cant_be_one_call(compute: Callable[..., Any]) -> None:
    kernels = Kernels(passes=[FusedQKV()])
    assert calls_of(plan_of(step_of_two(compute)[0], kernels=kernels), "linear_qkv") == []
    assert numbers_of(compute, FusedQKV()) == numbers_of(compute)


def test_what_three_layers_read_isnt_changed_between_them() -> None:
    weights = [tensor([[0.5, -0.3], [0.1, 0.2]], requires_grad=True) for _ in range(3)]

    def compute(x: Tensor, w: Tensor, change: Tensor) -> Any:
        q, k, v = (ops.linear(x, weight) for weight in weights)
        return q * k + v

    trace = record(step_of_two(compute)[0], ())[0]
    assert [call.op.name for call in FusedQKV().rewrite(trace, []).calls].count("linear_qkv") == 2
    at = next(i for i, call in enumerate(trace.calls) if call.op is ops.linear)
    trace.calls.insert(at + 1, Call(ops.zero, "forward", {"x": trace.calls[at].arguments["x"]}, {}))
    assert "linear_qkv" not in [call.op.name for call in FusedQKV().rewrite(trace, []).calls]


@pytest.mark.parametrize(
    ("norm", "given", "expected"),
    [
        ("rmsnorm", {}, 2),  # of tokens and positions, and between attention and the MLP
        ("layernorm", {"norm": "layernorm"}, 2),
        ("rmsnorm", {"norm_final": True, "of": "value"}, 2),  # its sum is the last block's
        ("rmsnorm", {"precision": "float64"}, 0),
        ("rmsnorm", {"watch": ["block.0.mlp_norm"]}, 2),
        ("rmsnorm", {"dropout": 0.5}, 1),  # it lies between the embeddings' sum and its norm
    ],
    ids=str,
)
def test_a_sum_is_normed_at_once(norm: str, given: dict[str, Any], expected: int) -> None:
    before, after = plan(**given), plan(ResidualNorm(), **given)
    assert calls_of(after, f"add_{norm}") == ["forward"] * expected
    assert len(before.calls) - len(after.calls) == expected


def normed_by_itself(x: Tensor, w: Tensor, change: Tensor) -> Any:
    """The sum is the norm's gain, too."""
    h = ops.sum(x + x) + ops.sum(w + w)
    h = h + h
    return ops.rmsnorm(h, h)


def test_a_sum_that_is_more_than_what_is_normed_stays() -> None:
    found = plan_of(step_of_two(normed_by_itself)[0], kernels=Kernels(passes=[ResidualNorm()]))
    assert calls_of(found, "add_rmsnorm") == []


def test_what_is_made_again_is_the_norm_alone(everything_is_large: None) -> None:
    made = plan(SelectiveRecompute(), ResidualNorm(), norm_final=True)
    assert len(calls_of(made, "add_rmsnorm")) == 2
    assert {call.op.name for call in made.calls if call.again} == {"rmsnorm", "relu2"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["packed-weights", "fused-loss", *FUSED_LAYERS, *LATER]),
        ({"precision": "bfloat16"}, ["packed-weights", "fused-loss", *FUSED_LAYERS, *LATER, "bfloat16"]),
        ({"backend": ["reference", "simd"]}, []),
        ({"kernels": {"linear": "reference"}}, LATER),
        ({"kernels": {"linear_bfloat16": "reference"}, "precision": "bfloat16"}, [*LATER, "bfloat16"]),
        ({"kernels": {"cross_entropy": "reference"}}, ["packed-weights", *FUSED_LAYERS, *LATER]),
        ({"kernels": {"relu2": "reference"}}, ["packed-weights", "fused-loss", "linear-qkv", *LATER]),
        ({"kernels": {"add": "reference"}}, ["packed-weights", "fused-loss", *FUSED_LAYERS, "selective-recompute"]),
    ],
)
def test_which_of_them_a_pipeline_has(given: dict[str, Any], expected: list[str]) -> None:
    registry = load(builtin)
    found = find_kernels(read_pipeline("names", registry, {"backend": "simd"} | given), registry)
    assert [each.name for each in found.passes] == expected
