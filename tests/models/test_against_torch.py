"""The GPT computes what an independent PyTorch program computes: logits, every gradient, and 20 steps of training."""

import importlib.util
import random
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

from microgpt_core import ops
from microgpt_core.components import philox, write
from microgpt_core.engine.tensor import tensor
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.text.batch import Batch, packed, padded, windows
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import SGD, AdamW
from microgpt_core.training.update import Update

torch = pytest.importorskip("torch")
spec = importlib.util.spec_from_file_location("torch_gpt", Path(__file__).with_name("torch_gpt.py"))
oracle = importlib.util.module_from_spec(spec)
spec.loader.exec_module(oracle)

SIZES = {
    "one of everything": GPT(vocab_size=2, block_size=12, n_layer=1, n_head=1, n_embd=1, mlp_ratio=1),
    "heads of one number": GPT(vocab_size=5, block_size=12, n_layer=1, n_head=3, n_embd=3, mlp_ratio=2),
    "odd": GPT(vocab_size=11, block_size=12, n_layer=3, n_head=3, n_embd=15, mlp_ratio=3),
    "golden e16": GPT(vocab_size=27, block_size=12, n_layer=1, n_head=4, n_embd=16),
    "more vocabulary than width": GPT(vocab_size=70, block_size=12, n_layer=2, n_head=2, n_embd=8),
}
MEMBER = GPT(vocab_size=11, block_size=12, n_layer=2, n_head=4, n_embd=16, mlp_ratio=2)  # of the family
STD = 0.3  # so large that no part of the model is nearly linear
SEED, STEP = 7, 3  # of dropout


def ids(*lengths: int, vocab_size: int) -> list[list[int]]:
    rng = random.Random(sum(lengths))
    return [[rng.randrange(vocab_size) for _ in range(n + 1)] for n in lengths]


def make_batch(kind: str, vocab_size: int) -> Batch:
    """`n` positions need `n + 1` ids."""
    if kind == "one token":
        return padded(ids(1, vocab_size=vocab_size))
    if kind == "one row":
        return padded(ids(9, vocab_size=vocab_size))
    if kind == "padded rows, ignored targets":
        return padded(ids(12, 3, 1, 7, vocab_size=vocab_size))
    if kind == "packed documents":
        return packed(ids(5, 1, 8, 2, 12, vocab_size=vocab_size), width=31)
    (stream,) = ids(40, vocab_size=vocab_size)
    return windows(memoryview(bytes(stream)), starts=[0, 7, 23], width=12)


BATCHES = ("one token", "one row", "padded rows, ignored targets", "packed documents", "windows")


def lively(size: GPT, precision: str, **fields) -> GPT:
    """A model in which nothing is small, nothing 0 and nothing 1."""
    model = GPT(**{**size.config(), "init_std": STD, "init_output_std": STD, **fields})
    model.allocate(precision)
    rng = random.Random(7)
    model.initialise(rng)
    for p in model.parameters():
        if p.std is None:  # gains and biases
            write(p.data, [rng.gauss(p.mean, STD) for _ in range(p.value.size)])
    return model


def as_torch(buffer: memoryview, dtype: "torch.dtype" = torch.float64) -> "torch.Tensor":
    return torch.tensor(buffer.tolist(), dtype=dtype)


def twin(model: GPT) -> "dict[str, torch.Tensor]":
    """The model's weights, the same numbers, in float64."""
    return {p.name: as_torch(p.data).requires_grad_() for p in model.parameters()}


@cache
def kept(p: float, shape: tuple[int, ...], place: int) -> "torch.Tensor":
    """What dropout multiplies by, as `ops.dropout` promises it: word i % 4 of the block that counts (i // 4, row)."""
    size = shape[1] * shape[2]
    words = [philox((i // 4, row, place, 0), (SEED, STEP))[i % 4] for row in range(shape[0]) for i in range(size)]
    return torch.tensor([(w >= round(p * 2**32)) / (1 - p) for w in words], dtype=torch.float64).reshape(shape)


def torch_loss(model: GPT, weights: "dict[str, torch.Tensor]", batch: Batch, smoothing: float) -> "torch.Tensor":
    tokens, targets, positions = (
        torch.tensor(list(x)).reshape(batch.shape) for x in (batch.tokens, batch.targets, batch.positions)
    )
    z = oracle.Twin(model.config(), weights, kept).logits(tokens, positions)
    return z, oracle.mean_loss(z, targets, smoothing)


def row_error(found: "torch.Tensor", expected: "torch.Tensor") -> float:
    """The largest difference, relative to its row's largest element; a row of zeros must be exactly that.

    A bias has one row, in which everything may cancel: the keys' bias moves no score's share, so its gradient is 0.
    """
    floor = 1e-2 if expected.ndim == 1 else 1e-30
    largest = expected.abs().amax(-1, keepdim=True).clamp_min(floor)
    return float(((found - expected).abs() / largest).max())


def check(model: GPT, batch: Batch, smoothing: float, error, limit: float) -> None:
    loss = BatchLoss(model, smoothing, seed=SEED)
    (inputs,) = loss.window_inputs([batch], STEP)
    tokens, _, positions, _, *noise = inputs
    weights = twin(model)
    z, expected_loss = torch_loss(model, weights, batch, smoothing)
    expected_loss.backward()
    found = loss.training(*inputs).item()
    assert abs(found - expected_loss.item()) <= limit * max(1.0, abs(found))
    logits = model(tokens, positions, None, *noise)
    assert error(as_torch(logits.data), z.detach()) <= limit, "logits"
    for p in model.parameters():
        assert error(as_torch(p.grad.data), weights[p.name].grad) <= limit, p.name


def absolute_error(found: "torch.Tensor", expected: "torch.Tensor") -> float:
    return float((found - expected).abs().max())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("size", SIZES)
def test_float64_agrees_to_1e_10(size: str, batch: str, smoothing: float) -> None:
    model = lively(SIZES[size], "float64")
    check(model, make_batch(batch, model.vocab_size), smoothing, absolute_error, 1e-10)


FAMILY = {
    "activation": ("relu2", "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "swiglu"),
    "norm": ("rmsnorm", "layernorm"),
    "norm_weight": (False, True),
    "norm_bias": (False, True),
    "norm_eps": (None, 0.01),
    "norm_placement": ("pre", "post"),
    "norm_embedding": (True, False),
    "norm_final": (False, True),
    "position": ("learned", "rope", "sinusoidal", "none"),
    "rope_theta": (10000.0, 50.0),
    "n_kv_head": (None, 1, 2),
    "window": (None, 1, 5),
    "bias": (False, True),
    "tie_weights": (False, True),
    "n_hidden": (None, 5),
}
SENSELESS = {  # rmsnorm has no bias
    (("norm", "rmsnorm"), ("norm_bias", True)),
}


def sensible(fields: dict[str, object]) -> bool:
    return not any(all(fields[name] == value for name, value in pair) for pair in SENSELESS)


def pairs(fields: dict[str, object]) -> set[frozenset]:
    return {frozenset(pair) for pair in combinations(fields.items(), 2)}


def every_pair() -> list[dict[str, object]]:
    """Members of the family so that each two values of two fields that go together come together in one of them."""
    rng, found = random.Random(1), []
    wanted = {
        frozenset([(a, x), (b, y)])
        for a, b in combinations(FAMILY, 2)
        for x in FAMILY[a]
        for y in FAMILY[b]
        if ((a, x), (b, y)) not in SENSELESS
    }
    while wanted:
        first = min(wanted, key=lambda pair: sorted(map(str, pair)))
        tries = [{name: rng.choice(values) for name, values in FAMILY.items()} | dict(first) for _ in range(50)]
        best = max(filter(sensible, tries), key=lambda fields: len(pairs(fields) & wanted))
        wanted -= pairs(best)
        found.append(best)
    return found


MEMBERS = every_pair()
SMALL = {
    "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 16, "block_size": 12, "n_hidden": None,
    "init_std": STD, "init_output_std": STD,
}  # fmt: skip


def member_id(fields: dict[str, object]) -> str:
    return "-".join(str(value) for value in fields.values())


@pytest.mark.parametrize("dropout", [0.0, 0.25])
@pytest.mark.parametrize("fields", MEMBERS, ids=member_id)
def test_the_family_agrees_to_1e_10(fields: dict[str, object], dropout: float) -> None:
    model = lively(MEMBER, "float64", dropout=dropout, **fields)
    for batch in ("padded rows, ignored targets", "packed documents"):
        check(model, make_batch(batch, model.vocab_size), 0.0, absolute_error, 1e-10)
        ops.zero(model.gradients)


@pytest.mark.parametrize("fields", MEMBERS, ids=member_id)
def test_the_family_in_float32_agrees_to_1e_5_of_a_rows_largest_element(fields: dict[str, object]) -> None:
    model = lively(MEMBER, "float32", **fields)
    check(model, make_batch("packed documents", model.vocab_size), 0.0, row_error, 1e-5)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_made_small_agree_to_1e_10(preset: str) -> None:
    model = lively(MEMBER, "float64", **PRESETS[preset].fields | SMALL)
    check(model, make_batch("packed documents", model.vocab_size), 0.0, absolute_error, 1e-10)


@pytest.mark.parametrize(
    "mistake", [{"norm_eps": 0.02}, {"window": 4}, {"rope_theta": 60.0}, {"activation": "gelu_tanh"}, {"dropout": 0.0}]
)
def test_the_family_s_comparison_sees_a_wrong_field(mistake: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"norm_eps": 0.01, "window": 5, "position": "rope", "rope_theta": 50.0, "activation": "gelu"}
    fields |= {"dropout": 0.25}
    model = lively(MEMBER, "float64", **fields)
    theirs = model.config() | mistake
    monkeypatch.setattr(model, "config", lambda: theirs)
    with pytest.raises(AssertionError):
        check(model, make_batch("packed documents", model.vocab_size), 0.0, absolute_error, 1e-10)


# With a single token or a single channel, the gradient of a row is one product of numbers that may nearly cancel,
# and so has no large element to be measured by.
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("batch", [batch for batch in BATCHES if batch != "one token"])
@pytest.mark.parametrize("size", [size for size in SIZES if size != "one of everything"])
def test_float32_agrees_to_1e_5_of_a_rows_largest_element(size: str, batch: str, smoothing: float) -> None:
    model = lively(SIZES[size], "float32")
    check(model, make_batch(batch, model.vocab_size), smoothing, row_error, 1e-5)


@pytest.mark.parametrize("mistake", ["positions", "targets", "epsilon"])
def test_the_comparison_sees_a_planted_mistake(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lively(SIZES["odd"], "float64")
    batch = make_batch("packed documents", model.vocab_size)
    if mistake == "epsilon":
        monkeypatch.setattr(
            oracle, "normalised", lambda x, eps: x * torch.rsqrt((x**2).mean(-1, keepdim=True) + 1.1e-5)
        )
    elif mistake == "positions":
        causal = lambda positions, window: torch.ones(positions.shape[1], positions.shape[1]).tril().bool()[None]  # noqa: E731
        monkeypatch.setattr(oracle, "visible", causal)
    else:
        monkeypatch.setattr(oracle, "mean_loss", lambda z, targets, smoothing: z.logsumexp(-1).mean())
    with pytest.raises(AssertionError):
        check(model, batch, 0.0, absolute_error, 1e-10)


OPTIMIZERS = {
    "sgd": (SGD(lr=0.02), lambda w: torch.optim.SGD(w, lr=0.02)),
    "momentum": (SGD(lr=0.01, momentum=0.9), lambda w: torch.optim.SGD(w, lr=0.01, momentum=0.9)),
    "nesterov": (
        SGD(lr=0.01, momentum=0.8, nesterov=True),
        lambda w: torch.optim.SGD(w, lr=0.01, momentum=0.8, nesterov=True),
    ),
    "adamw": (
        AdamW(lr=0.02, weight_decay=0.1),
        lambda w: torch.optim.AdamW(w, lr=0.02, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_are_pytorchs(name: str) -> None:
    optimizer, make_theirs = OPTIMIZERS[name]
    model = lively(SIZES["golden e16"], "float64")
    loss, update = BatchLoss(model), Update(model, optimizer)
    update.allocate()
    weights = twin(model)
    theirs = make_theirs(list(weights.values()))
    for step in range(20):
        batch = padded(ids(4 + step % 5, 8, vocab_size=model.vocab_size))
        found = loss.train([batch])
        update(optimizer.lr, step)
        theirs.zero_grad()
        _, expected = torch_loss(model, weights, batch, 0.0)
        expected.backward()
        theirs.step()
        assert abs(found - expected.item()) <= 1e-10
    for p in model.parameters():
        assert absolute_error(as_torch(p.data), weights[p.name].detach()) <= 1e-10, p.name


def test_logits_don_t_depend_on_the_other_rows_of_a_batch() -> None:
    """A batched row equals the same row alone, bit for bit, padded or not."""
    model = lively(SIZES["odd"], "float32")
    rows = ids(12, 3, 7, vocab_size=model.vocab_size)
    whole = padded(rows)
    together = BatchLoss(model).inputs(whole, 1.0)
    z = model(together[0], together[2]).tolist()
    for b, row in enumerate(rows):
        alone = model(tensor([row[:-1]], "int32"), tensor([list(range(len(row) - 1))], "int32")).tolist()[0]
        assert z[b][: len(row) - 1] == alone
