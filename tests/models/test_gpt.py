"""The GPT's fields: which are refused and how, what they add up to, which ops fill its slots."""

import random

import pytest

from microgpt_core import ops
from microgpt_core.components import Op, Unary, flat
from microgpt_core.engine.capture import plan_of
from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import ConfigurationError, ShapeError, UnknownNameError
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.text.batch import padded
from microgpt_core.training.loss import BatchLoss


class Softsign(Unary):
    def f(self, x: float) -> float:
        return x / (1.0 + abs(x))

    def df(self, x: float) -> float:
        return 1.0 / (1.0 + abs(x)) ** 2


class TwoInputs(Op):
    def shapes(self, x, y):
        return {"out": x}

    def forward(self, out, x, y):
        flat(out)[:] = flat(x)

    def backward(self, d_x, d_y, d_out):
        pass


class Gained(Op):
    """Fits the slot where there are gains."""

    def shapes(self, x, weight):
        return {"out": x}

    def forward(self, out, x, weight):
        flat(out)[:] = flat(x)

    def backward(self, d_x, d_weight, d_out):
        pass


def made(**fields) -> GPT:
    model = GPT(**{"vocab_size": 5, "block_size": 4, "n_head": 2, "n_embd": 4, **fields})
    model.allocate("float64")
    model.initialise(random.Random(1))
    return model


@pytest.mark.parametrize("field", ["vocab_size", "block_size", "n_layer", "n_head", "n_embd", "mlp_ratio"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "3"])
def test_sizes_are_whole_numbers_from_1(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"{field}: found {value}, allowed: a whole number, 1 or more"):
        made(**{field: value})


@pytest.mark.parametrize("field", ["init_std", "init_output_std"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_standard_deviations_are_finite_and_positive(field: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=f"{field}: found {value}"):
        made(**{field: value})


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ConfigurationError, match="found 16, which must be divisible by n_head = 5; 20,"):
        GPT(vocab_size=27, n_embd=16, n_head=5)
    with pytest.raises(ConfigurationError, match="found 3, which must be divisible by n_head = 4; 4,"):
        GPT(vocab_size=27, n_embd=3, n_head=4)


@pytest.mark.parametrize(
    ("vocab_size", "block_size", "n_embd", "n_layer"), [(27, 8, 16, 1), (27, 16, 64, 2), (65, 7, 12, 3), (2, 1, 4, 1)]
)
def test_parameters_are_2ve_be_and_12le2(vocab_size: int, block_size: int, n_embd: int, n_layer: int) -> None:
    model = GPT(vocab_size=vocab_size, block_size=block_size, n_embd=n_embd, n_layer=n_layer)
    expected = 2 * vocab_size * n_embd + block_size * n_embd + 12 * n_layer * n_embd**2
    assert model.n_parameters == expected
    model.allocate()
    assert sum(len(flat(x)) for x in model.state().values()) == expected


def test_mlp_ratio_widens_the_mlp() -> None:
    assert made(mlp_ratio=1).n_parameters == made().n_parameters - 6 * 4 * 4


def test_parameters_are_drawn_in_the_order_of_the_one_page_program() -> None:
    model = made(n_layer=2)
    layer = ["attention.q", "attention.k", "attention.v", "attention.o", "mlp.fc1", "mlp.fc2"]
    names = ["wte", "wpe", "lm_head", *(f"block.{i}.{part}" for i in range(2) for part in layer)]
    assert [p.name for p in model.parameters()] == [f"{name}.weight" for name in names]
    rng = random.Random(1)
    for p in model.parameters():
        std = 0.0 if p.name.endswith(("attention.o.weight", "fc2.weight")) else 0.02
        assert flat(p.data).tolist() == [rng.gauss(0.0, std) for _ in range(len(flat(p.data)))]


def test_the_preset_is_the_one_page_program() -> None:
    model = GPT(vocab_size=27, **PRESETS["microgpt"].fields)
    assert (model.block_size, model.n_layer, model.n_head, model.n_embd, model.mlp_ratio) == (8, 1, 4, 16, 4)
    assert (model.activation, model.norm, model.init_std, model.init_output_std) == ("relu2", "rmsnorm", 0.02, 0.0)


@pytest.mark.parametrize("activation", ["relu", ops.relu, Softsign()])
def test_an_activation_is_a_name_or_an_op(activation: str | Op) -> None:
    model, usual = (
        made(activation=activation, init_output_std=0.5, init_std=0.5),
        made(init_output_std=0.5, init_std=0.5),
    )
    batch = padded([[0, 1, 2, 3]])
    assert BatchLoss(model).evaluate([batch]) != BatchLoss(usual).evaluate([batch])
    name = activation if isinstance(activation, str) else activation.name
    assert model.config()["activation"] == name


def test_a_norm_is_an_op_that_can_have_gains() -> None:
    assert made(norm=Gained(), norm_weight=True).config()["norm"] == "gained"
    with pytest.raises(
        ConfigurationError, match=r"'softsign' doesn't fit the slot 'norm': it is softsign\(x\), .*weight"
    ):
        made(norm=Softsign())


def test_an_unknown_activation_is_told_its_nearest_name() -> None:
    with pytest.raises(
        UnknownNameError, match=r"'relu_2' \(did you mean 'relu2'\?\); known: gelu, gelu_tanh, relu, relu2"
    ):
        made(activation="relu_2")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("activation", TwoInputs(), r"two_inputs\(x, y\), the slot takes activation\(x, gate\?\)"),
        ("activation", "cross_entropy", r"'cross_entropy' doesn't fit the slot 'activation'"),
        ("norm", "linear", "'linear' doesn't fit the slot 'norm'"),
        (
            "norm",
            Gained(),
            "norm_weight: found false, allowed: true, since gained needs a weight",
        ),
        ("activation", "scale", "'scale' doesn't fit the slot 'activation'"),
        ("activation", "mean", r"mean\(x\), the slot takes activation\(x, gate\?\) with one .*shaped like x"),
        ("activation", Softsign, "found <class .*>, allowed: an op or its name"),
        ("norm", 5, "norm: found 5, allowed: an op or its name"),
    ],
)
def test_an_op_that_doesn_t_fit_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        made(**{field: value})


@pytest.mark.parametrize("precision", ["float16", "", None])
def test_an_unknown_precision_is_refused(precision: str) -> None:
    with pytest.raises(ConfigurationError, match="allowed: float32, float64"):
        GPT(vocab_size=5).allocate(precision)


def test_a_misshapen_batch_is_refused() -> None:
    with pytest.raises(ShapeError, match="wpe|add"):
        made()(tensor([[0, 1]], "int32"), tensor([[0]], "int32"))


def test_gradients_lie_in_one_region_without_the_frozen_ones() -> None:
    model = GPT(vocab_size=5, block_size=4, n_head=2, n_embd=4)
    model.wte.weight.requires_grad = False
    model.allocate("float64")
    assert model.wte.weight.grad is None
    numbers = len(model.gradients.data)
    assert numbers * 8 == sum(-(-p.grad.data.nbytes // 64) * 64 for p in model.parameters() if p.requires_grad)
    model.lm_head.weight.grad.data[0, 0] = 3.0
    assert sum(model.gradients.data) == 3.0


def test_a_model_that_is_frozen_altogether_still_computes() -> None:
    model = GPT(vocab_size=5, block_size=4, n_head=2, n_embd=4)
    for p in model.parameters():
        p.requires_grad = False
    model.allocate()
    model.initialise(random.Random(1))
    assert model(tensor([[0, 1]], "int32"), tensor([[0, 1]], "int32")).shape == (1, 2, 5)


def test_a_hundred_thousand_tokens_are_no_limit() -> None:
    """Nothing in the engine caps the vocabulary."""
    model = GPT(vocab_size=100_000, block_size=2, n_layer=1, n_head=1, n_embd=1, mlp_ratio=1)
    model.allocate()
    for p in model.parameters():
        p.data.cast("B")[:4] = b"\0\0\x80\x3f"  # 1.0, little endian
    loss = BatchLoss(model).train([padded([[99_999, 0, 99_998]])])
    assert 0.0 < loss < 20.0
    assert model.wte.weight.grad.shape == (100_000, 1)


def test_a_model_that_was_never_allocated_has_its_scopes() -> None:
    model = GPT(vocab_size=7, block_size=4)
    ids = tensor([[1, 2, 3]], "int32")
    plan = plan_of(lambda tokens: model(tokens, tokens), ids, watch=["block.0.attention.q"])
    assert list(plan.watched) == ["block.0.attention.q"]
