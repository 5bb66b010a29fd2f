"""The family's fields: what each adds and takes away in parameters and caches, and which values are refused."""

import random

import pytest

from microgpt_core import ops
from microgpt_core.components import Op, flat
from microgpt_core.engine.capture import plan_of
from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import ConfigurationError, ShapeError
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline.reading.presets import PRESETS

V, B, C, L, H = 7, 6, 8, 2, 4  # vocabulary, block, width, layers, heads


def made(**fields) -> GPT:
    return GPT(**{"vocab_size": V, "block_size": B, "n_layer": L, "n_head": H, "n_embd": C, **fields})


PLAIN = made().n_parameters
NORMS = 2 * L + 1  # two in each block, one after the embedding


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({"bias": True}, L * (4 * C + 4 * C + C)),  # q k v o, the MLP's wide and its narrow one
        ({"tie_weights": True}, -V * C),
        ({"position": "rope"}, -B * C),
        ({"position": "sinusoidal"}, -B * C),
        ({"position": "none"}, -B * C),
        ({"norm_weight": True}, NORMS * C),
        ({"norm": "layernorm", "norm_weight": True, "norm_bias": True}, 2 * NORMS * C),
        ({"norm_weight": True, "norm_final": True}, (NORMS + 1) * C),
        ({"norm_weight": True, "norm_embedding": False}, (NORMS - 1) * C),
        ({"norm_placement": "post"}, 0),
        ({"n_kv_head": 1}, -L * 2 * C * (C - C // H)),
        ({"n_kv_head": 2}, -L * 2 * C * (C - C // 2)),
        ({"window": 3}, 0),
        ({"dropout": 0.5}, 0),
        ({"activation": "gelu"}, 0),
        ({"activation": "swiglu"}, L * (3 * C * 24 - 2 * C * 32)),  # 2/3 of 32, up to a multiple of 8
        ({"activation": "swiglu", "bias": True}, L * (3 * C * 24 - 2 * C * 32 + 4 * C + 2 * 24 + C)),
        ({"mlp_ratio": 2}, -L * 2 * C * 2 * C),
        ({"n_hidden": 5}, L * 2 * C * (5 - 4 * C)),
    ],
    ids=str,
)
def test_what_a_field_adds_in_parameters(fields: dict, more: int) -> None:
    model = made(**fields)
    assert model.n_parameters - PLAIN == more
    model.allocate()
    assert sum(len(flat(x)) for x in model.state().values()) == model.n_parameters


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("microgpt", 4_064),
        ("llama-tiny", 217_664),
        ("50m", 51_043_840),
        ("100m", 99_308_160),
        ("gpt2", 124_439_808),
        ("gpt2-small", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
        ("smollm2-135m", 134_515_008),
        ("tinyllama-1.1b", 1_100_048_384),
    ],
)
def test_presets_have_the_published_number_of_parameters(preset: str, expected: int) -> None:
    assert GPT(vocab_size=PRESETS[preset].vocab_size, **PRESETS[preset].fields).n_parameters == expected


def test_every_preset_is_counted_above() -> None:
    (mark,) = test_presets_have_the_published_number_of_parameters.pytestmark
    assert {name for name, _ in mark.args[1]} == set(PRESETS)


@pytest.mark.parametrize(
    ("preset", "shape"),
    [
        ("gpt2", (50257, 1024, 12, 12, 12, 768, 3072)),
        ("gpt2-small", (50257, 1024, 12, 12, 12, 768, 3072)),
        ("gpt2-medium", (50257, 1024, 24, 16, 16, 1024, 4096)),
        ("gpt2-large", (50257, 1024, 36, 20, 20, 1280, 5120)),
        ("gpt2-xl", (50257, 1024, 48, 25, 25, 1600, 6400)),
        ("smollm2-135m", (49152, 8192, 30, 9, 3, 576, 1536)),
        ("tinyllama-1.1b", (32000, 2048, 22, 32, 4, 2048, 5632)),
    ],
)
def test_presets_have_the_published_shapes(preset: str, shape: tuple[int, ...]) -> None:
    """Vocabulary, positions, layers, heads, heads of k and v, width, the MLP's; and what no count shows."""
    model = GPT(vocab_size=PRESETS[preset].vocab_size, **PRESETS[preset].fields)
    attention = model.block[0].attention
    heads = (attention.n_head, attention.n_kv_head)
    assert (model.vocab_size, model.block_size, len(model.block), *heads, model.n_embd, model.hidden_width) == shape
    norm, fields = model.make_norm(), (model.position, model.activation, model.norm, model.norm_final, model.bias)
    assert norm.settings.get("eps", norm.op.signature.attributes["eps"]) == 1e-5
    if preset.startswith("gpt2"):
        assert fields == ("learned", "gelu_tanh", "layernorm", True, True)
    else:
        assert fields == ("rope", "swiglu", "rmsnorm", True, False)
        assert model.rope_theta == (1e5 if preset == "smollm2-135m" else 1e4)
    assert model.tie_weights == (preset != "tinyllama-1.1b")


def test_a_tied_head_is_one_parameter_with_one_name() -> None:
    model = made(tie_weights=True)
    model.allocate()
    names = [p.name for p in model.parameters()]
    assert names.count("wte.weight") == 1
    assert "lm_head.weight" not in names


def test_gains_and_biases_begin_neutral_draw_nothing_and_don_t_decay() -> None:
    model, plain = made(norm="layernorm", norm_weight=True, norm_bias=True, bias=True), made()
    for m in (model, plain):
        m.allocate()
        m.initialise(random.Random(3))
    vectors = [p for p in model.parameters() if len(p.shape) == 1]
    assert len(vectors) == 2 * NORMS + 6 * L
    for p in vectors:
        assert not p.decay
        assert set(flat(p.data)) == {1.0 if p.name.endswith("norm.weight") else 0.0}
    drawn = {n: x.tolist() for n, x in model.state().items() if n in plain.state()}
    assert drawn == {n: x.tolist() for n, x in plain.state().items()}


@pytest.mark.parametrize(("n_kv_head", "share"), [(None, 1.0), (2, 0.5), (1, 0.25)])
def test_caches_shrink_with_the_heads_of_k_and_v(n_kv_head: int | None, share: float) -> None:
    caches = made(n_kv_head=n_kv_head).caches(tensor([0, 0, 0], "int32"), rows=B)
    assert sum(t.value.nbytes for c in caches for t in (c.keys, c.values)) == share * L * 2 * 3 * B * C * 4


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n_kv_head": 3}, r"n_kv_head: found 3, allowed: a divisor of n_head: \[1, 2, 4\]"),
        ({"n_kv_head": 0}, "n_kv_head: found 0, allowed: a whole number, 1 or more, or null"),
        ({"window": 0}, "window: found 0, allowed: a whole number, 1 or more, or null"),
        ({"n_hidden": 2.5}, "n_hidden: found 2.5, allowed: a whole number"),
        ({"dropout": 1.0}, "dropout: found 1.0, allowed: 0 to 1, without 1"),
        ({"dropout": -0.1}, "dropout: found -0.1"),
        ({"norm_eps": 0.0}, "norm_eps: found 0.0, allowed: more than 0"),
        ({"rope_theta": float("nan")}, "rope_theta: found nan, allowed: more than 0"),
        ({"position": "rotary"}, "position: found 'rotary', allowed: learned, rope, sinusoidal, none"),
        ({"position": "learnt"}, r"position: found 'learnt' \(did you mean 'learned'\?\)"),
        ({"norm_placement": "after"}, "norm_placement: found 'after', allowed: pre, post"),
        ({"position": "rope", "n_head": 8}, r"position: found rope with heads of 1 numbers .* an even number"),
        ({"norm_bias": True}, "norm_bias: found true, allowed: false, since rmsnorm takes no bias"),
        ({"norm": "tanh"}, r"'tanh' doesn't fit the slot 'norm'"),
        ({"rope_theta": None}, "rope_theta: found None, allowed: more than 0"),
        ({"dropout": "0.1"}, "dropout: found 0.1, allowed: 0 to 1"),
        ({"n_layer": True}, "n_layer: found True, allowed: a whole number"),
        ({"attention": "linear"}, "'linear' doesn't fit the slot 'attention'"),
    ],
    ids=str,
)
def test_a_value_that_makes_no_sense_is_refused(fields: dict, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**fields)


class Blind(Op):
    """An attention of one's own: every token takes its own value. It has no caches, windows or documents."""

    def shapes(self, q, k, v, *, n_head):
        return {"out": q}

    def forward(self, out, q, k, v, *, n_head):
        flat(out)[:] = flat(v)

    def backward(self, d_q, d_v, d_out):
        for i, d in enumerate(flat(d_out)):
            flat(d_v)[i] += d


class Narrow(Blind):
    name = "blind"

    def shapes(self, q, k, v, *, n_head):
        return {"out": v}


class Choosy(Op):
    def shapes(self, q, k, v, *, n_head, width):
        return {"out": q}

    def forward(self, out, q, k, v, *, n_head, width):
        flat(out)[:] = flat(v)

    def backward(self, d_q, d_v, d_out):
        """As Blind's."""


def test_an_attention_of_one_s_own_fills_the_slot() -> None:
    model = made(attention=Blind(), init_std=0.5, init_output_std=0.5)
    model.allocate("float64")
    model.initialise(random.Random(1))
    assert model.caches(tensor([0], "int32"), rows=B) == []
    logits = model(tensor([[1, 2, 1]], "int32"), tensor([[0, 0, 0]], "int32"))
    assert logits.tolist()[0][0] == logits.tolist()[0][2]  # nobody saw anybody
    ops.sum(logits).backward()
    assert any(flat(model.block[0].attention.v.weight.grad.data))
    with pytest.raises(ConfigurationError, match="window: found 2, allowed: null, since blind takes no window"):
        made(attention=Blind(), window=2)
    narrow = made(attention=Narrow(), n_kv_head=1)
    with pytest.raises(ShapeError, match=r"blind: out has shape \(1, 3, 2\), expected \(1, 3, 8\)"):
        plan_of(narrow, tensor([[1, 2, 1]], "int32"), tensor([[0, 0, 0]], "int32"))
    with pytest.raises(ConfigurationError, match="attention: found choosy.*, which needs width"):
        made(attention=Choosy())


def test_there_is_no_dropout_without_noise() -> None:
    plain, dropping = made(init_std=0.5, init_output_std=0.5), made(init_std=0.5, init_output_std=0.5, dropout=0.5)
    for model in (plain, dropping):
        model.allocate()
        model.initialise(random.Random(1))
    ids = tensor([[1, 2, 3]], "int32"), tensor([[0, 1, 2]], "int32")
    assert (plain.noisy, dropping.noisy) == (False, True)
    assert dropping(*ids).tolist() == plain(*ids).tolist()
    noise = [tensor([1337, step, 0], "int32") for step in (0, 1)]
    first, second = (dropping(*ids, None, n).tolist() for n in noise)
    assert first != second
    assert first == dropping(*ids, None, noise[0]).tolist()
    assert plain(*ids, None, noise[0]).tolist() == plain(*ids).tolist()


def test_every_dropout_has_a_stream_of_its_own() -> None:
    model = made(dropout=0.5)
    ids = tensor([[1, 2, 3]], "int32")
    plan = plan_of(lambda t, n: model(t, t, None, n), ids, tensor([1, 2, 3], "int32"))
    streams = [call.attributes["stream"] for call in plan.calls if call.op.name == "dropout"]
    assert streams == list(range(2 * L + 1))
