"""Weights packed once for a session: the bits of every token stay what they were, and no weight is ever an old one."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.components import Buffer, Op, Pass, flat, new_buffer
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.value import Trace, Value
from microgpt_core.errors import CaptureError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.inference.session import Session
from microgpt_core.models.gpt import GPT
from microgpt_core.testing.case import Case, make_case
from microgpt_core.text.batch import windows
from microgpt_core.text.char import Char
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.update import Update
from microgpt_simd.linear_bfloat16 import LinearBFloat16
from microgpt_simd.linear_packed import LinearPacked, LinearPackedBFloat16, PackWeight, PackWeightBFloat16
from microgpt_simd.passes.bfloat16 import BFloat16
from microgpt_simd.passes.packed_weights import PackedWeights, SessionWeights

OPS: dict[str, tuple[Op, Op, Op]] = {
    "float32": (ops.linear, PackWeight(), LinearPacked()),
    "bfloat16": (LinearBFloat16(), PackWeightBFloat16(), LinearPackedBFloat16()),
}
# Rows, inputs, outputs: over a panel's edge and a vector's, a stretch of k, an odd number of inputs, a tile's rows.
SIZES = [(1, 1, 1), (1, 33, 47), (2, 64, 48), (7, 515, 49), (3, 1031, 100), (33, 40, 150), (9, 1, 67)]
PRECISIONS: dict[str, list[Pass]] = {"float32": [], "bfloat16": [BFloat16()]}
MODELS: dict[str, dict[str, Any]] = {
    "microgpt": {},
    "gpt2": {"norm": "layernorm", "activation": "gelu_tanh", "bias": True, "tie_weights": True, "norm_bias": True},
}
TEXT = "the quick brown fox jumps over the lazy dog"


def forward(op: Op, inputs: dict[str, Any], attributes: dict[str, Any], kernels: Kernels) -> Buffer:
    """The one thing that an op makes of its inputs."""
    found = Case(op, inputs, attributes, kernels).forward().after[op.signature.produced[0]]
    assert found is not None
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("precision", OPS)
def test_a_packed_product_has_the_bits_of_the_other(
    precision: str, size: tuple[int, int, int], level: str, kernels: Kernels, threads: Callable[[int], None]
) -> None:
    (linear, pack, packed_linear), (m, k, n) = OPS[precision], size
    threads(3)
    given = make_case(linear, {"x": (m, k), "weight": (n, k), "bias": (n,)}, {}, "f", 1).inputs
    packed = forward(pack, {"weight": given["weight"]}, {}, kernels)
    assert packed.tobytes() == forward(pack, {"weight": given["weight"]}, {}, REFERENCE).tobytes()
    inputs = {"x": given["x"], "packed": packed, "bias": given["bias"]}
    found = forward(packed_linear, inputs, {"n_out": n}, kernels)
    assert found.tobytes() == forward(linear, given, {}, kernels).tobytes()


def build(kind: str = "gpt2", seed: int = 1) -> LanguageModel:
    tokenizer = Char().train([TEXT])
    model = GPT(
        vocab_size=tokenizer.vocab_size, block_size=16, n_layer=2, n_head=2, n_embd=56, init_std=0.3,
        init_output_std=0.3, **MODELS[kind],
    )  # fmt: skip
    model.allocate()
    model.initialise(Random(seed))
    return LanguageModel(model, tokenizer)


def logits(model: GPT, kernels: Kernels, rows: int = 1) -> list[list[list[float]]]:
    """Of prompts of several lengths, then of a few tokens one by one."""
    session = Session(model, kernels, rows)
    prompts = [[(3 * i + row) % 11 for i in range(5 + row)] for row in range(rows)]
    return [session.read(prompts), *(session.read([[i + row] for row in range(rows)]) for i in range(3))]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", MODELS)
def test_a_session_reads_the_same_bits(kind: str, precision: str, level: str, kernels: Kernels) -> None:
    model, passes = build(kind).model, PRECISIONS[precision]
    without = logits(model, replace(kernels, passes=passes), 3)
    assert logits(model, replace(kernels, passes=[PackedWeights(), *passes]), 3) == without
    assert logits(model, replace(kernels, passes=[*passes, PackedWeights()]), 3) == without


def plan_ops(passes: Sequence[Pass], kernels: Kernels) -> list[str]:
    session = Session(build().model, replace(kernels, passes=passes))
    session.read([[1]])
    return [call.op.name for call in session._plan.plan.calls]


@pytest.mark.parametrize(
    ("precision", "packed"), [("float32", "linear_packed"), ("bfloat16", "linear_packed_bfloat16")]
)
def test_every_layer_of_a_session_is_packed(precision: str, packed: str, kernels: Kernels) -> None:
    found = plan_ops([PackedWeights(), *PRECISIONS[precision]], kernels)
    assert [op for op in found if "linear" in op] == [packed] * 13


def test_training_and_evaluation_are_left_as_they_are(kernels: Kernels) -> None:
    batch = windows(array("i", range(17)), [0], 16)
    for of in ("training", "evaluation"):
        plans = []
        for passes in ([], [PackedWeights()]):
            loss = BatchLoss(build().model, kernels=replace(kernels, passes=passes))
            (inputs,) = loss.window_inputs([batch])
            plans.append(getattr(loss, of).replay_for(*inputs[: 4 if of == "evaluation" else None]).plan)
        assert plans[0].digest == plans[1].digest


def test_the_plans_of_a_session_share_what_is_packed(kernels: Kernels) -> None:
    session = Session(build().model, replace(kernels, passes=[PackedWeights()]))
    for n in (5, 1, 2):
        session.read([[1] * n])
    (own,) = session._passes
    assert isinstance(own, SessionWeights)
    assert session._plan.captures == 3
    assert len(own.packed) == 13


def train(model: GPT, kernels: Kernels) -> None:
    """A step that moves every weight."""
    loss, update = BatchLoss(model, kernels=kernels), Update(model, AdamW(lr=0.1), kernels=kernels)
    update.allocate()
    loss.train([windows(array("i", range(17)), [0], 16)])
    update(0.1, 0)


def samples(language_model: LanguageModel, kernels: Kernels) -> tuple[list[str], list[str], list[str]]:
    """What a model writes, and once it has learned on: where it wrote before, and by a new session."""
    asked = {"seed": 1, "max_new_tokens": 40, "temperature": 1.0}
    language_model.kernels = kernels
    before = language_model.generate_many(["the"], **asked)
    train(language_model.model, kernels)
    after = language_model.generate_many(["the"], **asked)
    fresh = LanguageModel(language_model.model, language_model.tokenizer, kernels)
    return before, after, fresh.generate_many(["the"], **asked)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_sample_after_more_training_is_by_the_new_weights(precision: str, kernels: Kernels) -> None:
    before, after, fresh = samples(build(), replace(kernels, passes=[PackedWeights(), *PRECISIONS[precision]]))
    assert after == fresh
    assert after != before


def test_planted_weights_that_are_packed_once_for_all_are_found(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionWeights, "renew", lambda self: None)
    _, after, fresh = samples(build(), replace(kernels, passes=[PackedWeights()]))
    assert after != fresh


class Halved(type(ops.linear)):  # type: ignore[misc]
    """A linear of somebody's own."""

    name = "halved"


def test_a_linear_of_somebodys_own_stays(kernels: Kernels) -> None:
    class Own(Pass):
        name = "own"

        def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
            halve = Halved()
            return replace(trace, calls=[replace(c, op=halve) if c.op is ops.linear else c for c in trace.calls])

    found = plan_ops([Own(), PackedWeights()], kernels)
    assert [op for op in found if "linear" in op or op == "halved"] == ["halved"] * 13


def test_layers_that_another_pass_made_bfloat16_keep_it(kernels: Kernels) -> None:
    assert "linear_packed_bfloat16" in plan_ops([BFloat16(), PackedWeights()], kernels)


def test_a_weight_with_other_memory_is_told(kernels: Kernels) -> None:
    model = build().model
    session = Session(model, replace(kernels, passes=[PackedWeights()]))
    session.read([[1]])
    weight = next(p.value for p in model.parameters() if "wte" not in p.value.name and len(p.value.shape) == 2)
    weight.data = new_buffer(weight.shape)
    session.reset()
    with pytest.raises(CaptureError, match="other memory"):
        session.read([[1]])


def test_a_panel_holds_an_output_s_numbers_where_it_says(kernels: Kernels) -> None:
    weight = make_case(ops.linear, {"x": (1, 5), "weight": (50, 5)}, {}, "f").inputs["weight"]
    assert weight is not None
    packed = forward(PackWeight(), {"weight": weight}, {}, kernels)
    assert packed.shape == (2, 5, 48)
    assert [packed[49 // 48, p, 49 % 48] for p in range(5)] == flat(weight)[-5:].tolist()
    assert packed[1, 0, 2] == 0.0
