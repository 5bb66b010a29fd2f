"""The numbers of passes: what is fused has the bits of its parts, in less memory; bfloat16 stays near float32."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from math import isclose
from random import Random
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.components import Pass, flat
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.value import Call, Trace
from microgpt_core.errors import DataError
from microgpt_core.models.gpt import GPT
from microgpt_core.testing.case import make_case
from microgpt_core.testing.passes import pass_checks
from microgpt_core.text.batch import Batch, windows
from microgpt_core.training.loss import BatchLoss
from microgpt_simd import ops as simd_ops
from microgpt_simd.backend import Simd
from microgpt_simd.linear_bfloat16 import LinearBFloat16, round_bits
from microgpt_simd.linear_cross_entropy import LinearCrossEntropy
from microgpt_simd.passes import activated_linear, bfloat16, selective_recompute
from microgpt_simd.passes.activated_linear import FusedActivation
from microgpt_simd.passes.bfloat16 import BFloat16
from microgpt_simd.passes.fused_loss import FusedLoss
from microgpt_simd.passes.linear_qkv import FusedQKV
from microgpt_simd.passes.residual_norm import ResidualNorm
from microgpt_simd.passes.selective_recompute import SelectiveRecompute
from microgpt_simd.passes.shared_gradient import SharedGradient
from microgpt_simd.plugin import microgpt_passes

FUSED = "linear_cross_entropy"
KINDS: dict[str, dict[str, Any]] = {
    "microgpt": {"activation": "relu2", "norm_embedding": True, "norm_final": False, "bias": False},
    "gpt2": {"norm": "layernorm", "activation": "gelu_tanh", "bias": True, "tie_weights": True, "norm_bias": True},
    "llama": {"norm": "rmsnorm", "activation": "swiglu", "position": "rope", "n_kv_head": 2, "norm_weight": True},
}
VOCABULARY = 331
LENGTH = 20  # more than the 16 keys of which attention makes something of its own


def build(kind: str) -> GPT:
    """A model of two blocks with weights that were drawn."""
    model = GPT(
        vocab_size=VOCABULARY,
        block_size=LENGTH,
        n_layer=2,
        n_head=4,
        n_embd=24,
        init_std=0.1,
        init_output_std=0.1,
        **KINDS[kind],
    )
    model.allocate()
    model.initialise(Random(1))
    return model


def batches(n: int = 1) -> list[Batch]:
    stream = array("i", Random(2).choices(range(VOCABULARY), k=100))
    return [windows(stream, [i, i + 7, i + 20, i + 50, i + 31], LENGTH) for i in range(n)]


def gradients(
    kind: str, kernels: Kernels, window: Sequence[Batch] = (), **options: Any
) -> tuple[float, dict[str, list[float]], BatchLoss]:
    """The loss of a window, each parameter's gradient, and what computed them."""
    model = build(kind)
    loss = BatchLoss(model, kernels=kernels, **options)
    value = loss.train(window or batches())
    return value, {p.name: flat(p.grad.data).tolist() for p in model.parameters() if p.grad is not None}, loss


def ops_of(kernels: Kernels, kind: str = "microgpt", **options: Any) -> list[str]:
    """The ops of a training plan, in order."""
    plan = gradients(kind, kernels, **options)[2].training.plan
    return [call.op.name for call in plan.calls]


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fused_loss_has_the_bits_of_its_parts(kind: str, options: dict[str, Any], kernels: Kernels) -> None:
    fused = replace(kernels, passes=[FusedLoss()])
    assert FUSED in ops_of(fused, kind)
    assert FUSED not in ops_of(kernels, kind)
    assert gradients(kind, fused, **options)[:2] == gradients(kind, kernels, **options)[:2]


def test_a_window_of_several_batches_adds_up(kernels: Kernels) -> None:
    window, fused = batches(3), replace(kernels, passes=[FusedLoss()])
    assert gradients("gpt2", fused, window)[:2] == gradients("gpt2", kernels, window)[:2]


def test_it_holds_less(kernels: Kernels) -> None:
    """The logits and their gradients are gone from the region; a chunk of them is in the workspace."""
    regions = [gradients("gpt2", replace(kernels, passes=p))[2].training.plan.region_bytes for p in ([], [FusedLoss()])]
    assert regions[1] < regions[0]


def test_blocks_can_still_be_recomputed(kernels: Kernels) -> None:
    fused = replace(kernels, passes=[FusedLoss()])
    assert gradients("llama", fused, recompute=1)[:2] == gradients("llama", fused)[:2]


def test_planted_a_fusion_that_forgets_the_scale_is_found(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    from microgpt_simd.passes import fused_loss

    fuse: Callable[..., Call] = fused_loss.fuse

    def forgetful(*calls: Call) -> Call:
        call = fuse(*calls)
        return replace(call, arguments={**call.arguments, "scale": None})

    monkeypatch.setattr(fused_loss, "fuse", forgetful)
    window, fused = batches(3), replace(kernels, passes=[FusedLoss()])
    assert gradients("gpt2", fused, window)[1] != gradients("gpt2", kernels, window)[1]


@pytest.mark.parametrize("options", [{}, {"recompute": 1}, {"label_smoothing": 0.1}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_shared_gradients_have_the_bits_of_copies(kind: str, options: dict[str, Any], kernels: Kernels) -> None:
    shared = replace(kernels, passes=[FusedLoss(), SharedGradient()])
    assert len(ops_of(shared, kind)) < len(ops_of(replace(kernels, passes=[FusedLoss()]), kind))
    window = batches(2)
    assert gradients(kind, shared, window, **options)[:2] == gradients(kind, kernels, window, **options)[:2]


@pytest.mark.parametrize("options", [{}, {"recompute": 1}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_again_has_the_bits_of_the_first_time(
    kind: str, options: dict[str, Any], kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selective_recompute, "LARGE", 0)
    window, passes = batches(2), [FusedLoss(), SharedGradient()]
    kept = gradients(kind, replace(kernels, passes=passes), window, **options)
    again = gradients(kind, replace(kernels, passes=[*passes, SelectiveRecompute()]), window, **options)
    assert again[:2] == kept[:2]
    before, after = kept[2].training.plan, again[2].training.plan
    assert after.recomputed_flops > before.recomputed_flops
    assert after.region_bytes < before.region_bytes
    assert [call.op.name for call in after.calls if call.again].count(KINDS[kind]["activation"]) == 2  # blocks


FUSED_LAYERS = {
    "activated-linear": (FusedActivation(), {"microgpt": 4, "gpt2": 4, "llama": 0}),  # forward and backward, two blocks
    "linear-qkv": (FusedQKV(), dict.fromkeys(KINDS, 4)),
    "residual-norm": (ResidualNorm(), {"microgpt": 3, "gpt2": 3, "llama": 2}),
}
NAMES = {"activated_linear", "linear_qkv", "add_rmsnorm", "add_layernorm"}


@pytest.fixture
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes leave alone because it is small is tried, too."""
    monkeypatch.setattr(selective_recompute, "LARGE", 0)
    monkeypatch.setattr(activated_linear, "LEAST", 0)


@pytest.mark.parametrize("options", [{}, {"recompute": 1}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUSED_LAYERS)
@pytest.mark.usefixtures("every_size")
def test_fused_layers_have_the_bits_of_their_parts(
    name: str, kind: str, options: dict[str, Any], kernels: Kernels
) -> None:
    each, expected = FUSED_LAYERS[name]
    window, fused = batches(2), replace(kernels, passes=[each])
    if not options:
        assert sum(op in NAMES for op in ops_of(fused, kind)) == expected[kind]
    assert gradients(kind, fused, window, **options)[:2] == gradients(kind, kernels, window, **options)[:2]


@pytest.mark.parametrize("rounded", [[], [BFloat16()]], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("every_size")
def test_all_passes_together_have_those_bits_too(kind: str, rounded: list[Pass], kernels: Kernels) -> None:
    found = {f"simd/{name}": load_pass(place) for name, place in microgpt_passes().items()}
    passes = [found[name] for name in Simd.passes]
    window, fused = batches(2), FusedLoss()
    assert len(passes) == 7
    together = gradients(kind, replace(kernels, passes=[*passes, *rounded]), window)
    assert together[:2] == gradients(kind, replace(kernels, passes=[fused, *rounded]), window)[:2]


def load_pass(place: str) -> Pass:
    module, _, name = place.partition(":")
    made: Pass = getattr(import_module(module), name)()
    return made


@pytest.mark.parametrize("each", [FusedActivation(), FusedQKV(), ResidualNorm()], ids=lambda each: each.name)
@pytest.mark.usefixtures("every_size")
def test_the_kit_finds_nothing_where_nothing_is_small(each: Pass) -> None:
    assert [found.notes for check in pass_checks(each) if (found := check.run()).state != "passed"] == []


@pytest.mark.parametrize("name", FUSED_LAYERS)
@pytest.mark.usefixtures("every_size")
def test_blocks_that_are_computed_again_keep_no_more(name: str, kernels: Kernels) -> None:
    """Between blocks one value is kept, whichever calls the blocks are made of."""
    plans = [
        gradients("gpt2", replace(kernels, passes=[SharedGradient(), *more]), recompute=1)[2].training.plan
        for more in ([], [FUSED_LAYERS[name][0]])
    ]
    assert plans[1].region_bytes <= plans[0].region_bytes
    assert plans[1].recomputed_flops <= plans[0].recomputed_flops


def test_a_wide_activation_is_gone_from_memory(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activated_linear, "LEAST", 0)
    regions = [
        gradients("gpt2", replace(kernels, passes=p))[2].training.plan.region_bytes for p in ([], [FusedActivation()])
    ]
    assert regions[1] < regions[0]


def test_planted_an_activation_that_is_taken_for_another_is_found(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activated_linear, "LEAST", 0)
    monkeypatch.setattr(simd_ops.BentLinear, "numbers", lambda self, attributes: {"activation": 0})
    fused = replace(kernels, passes=[FusedActivation()])
    assert gradients("microgpt", fused)[1] != gradients("microgpt", kernels)[1]


def test_a_target_outside_the_vocabulary_is_refused(kernels: Kernels) -> None:
    given = {"x": (4, 8), "weight": (5, 8), "targets": [1, 2, 5, 0]}
    case = make_case(LinearCrossEntropy(), given, {"label_smoothing": 0.0, "bfloat16": False}, "f")
    with pytest.raises(DataError, match=r"targets has 5 at index 2 \(allowed: -1 to 4\)"):
        replace(case, kernels=kernels).forward()


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_is_near_float32(kind: str, level: str, kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every product of a linear layer and of attention is rounded: gradients move by a few of bfloat16's 8 bits."""
    monkeypatch.setattr(bfloat16, "LONG", 1)
    rounded = replace(kernels, passes=[FusedLoss(), BFloat16()])
    assert not {"linear", "attention"} & {*ops_of(rounded, kind)}
    assert {"linear_bfloat16", "attention_bfloat16"} <= {*ops_of(rounded, kind)}
    (loss, found, _), (exact, expected, _) = gradients(kind, rounded), gradients(kind, kernels)
    assert isclose(loss, exact, rel_tol=5e-3)
    assert loss != exact
    for name, wanted in expected.items():
        most = max(1e-4, *map(abs, wanted))  # a shift of all keys moves nothing: its gradient is rounding
        assert max(abs(a - b) for a, b in zip(found[name], wanted)) < 0.05 * most, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_fused_loss_rounds_as_its_parts_do(kind: str, kernels: Kernels) -> None:
    """In chunks of another length, so not to the bit."""
    (loss, found, _), (other, expected, _) = (
        gradients(kind, replace(kernels, passes=passes)) for passes in ([FusedLoss(), BFloat16()], [BFloat16()])
    )
    assert isclose(loss, other, rel_tol=1e-6)
    for name, wanted in expected.items():
        assert max(abs(a - b) for a, b in zip(found[name], wanted)) <= 1e-2 * max(map(abs, wanted)), name


def test_planted_a_pass_that_rounds_nothing_is_found(kernels: Kernels) -> None:
    class Idle(Pass):
        name = "idle"

        def rewrite(self, trace: Trace, kept: Any) -> Trace:
            return trace

    assert "linear" in ops_of(replace(kernels, passes=[Idle()]))


@pytest.mark.parametrize(
    ("bits", "rounded"),
    [
        (0x3F800000, 0x3F80),  # 1
        (0x3F808000, 0x3F80),  # half way, to the even one below
        (0x3F818000, 0x3F82),  # and above
        (0x3F808001, 0x3F81),
        (0x3F807FFF, 0x3F80),
        (0x7F7FFFFF, 0x7F80),  # the largest float is nearer to infinity
        (0x7F800000, 0x7F80),
        (0x7F800001, 0x7FC0),  # a NaN whose bits are all in the lower half stays NaN
        (0xFFC00000, 0xFFC0),
        (0x80000000, 0x8000),
    ],
)
def test_rounding_to_bfloat16(bits: int, rounded: int, level: str, kernels: Kernels) -> None:
    """By the reference, and by a product with the matrix (1)."""
    assert round_bits(bits) == rounded << 16
    case = make_case(LinearBFloat16(), {"x": (1, 1), "weight": [[1.0]]}, {}, "f")
    x, out = case.inputs["x"], None
    assert x is not None
    x.cast("B").cast("I")[0] = bits
    out = replace(case, kernels=kernels).forward().after["out"]
    assert out is not None
    found = out.cast("B").cast("I")[0]
    # Minus 0 plus 0 is 0, and which NaN it is isn't said.
    assert found == rounded << 16 or (out[0, 0] != out[0, 0] and rounded & 0x7FC0 == 0x7FC0) or rounded == 0x8000


def test_the_core_has_none_of_these_ops() -> None:
    assert not {FUSED, "linear_bfloat16"} & set(ops.OPS)
