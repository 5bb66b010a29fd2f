"""PyTorch as a peer computes what microgpt computes, in every way that it is run; wrong twins are found out."""

import gc
import random
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from microgpt_bench.golden import GOLDEN, Golden, sized
from microgpt_bench.measuring.agree import ALLOWED, TOKENS
from microgpt_bench.peers.torch import Torch
from microgpt_bench.work.agreement import disagreement, write_down
from microgpt_bench.work.generate import OwnGeneration
from microgpt_bench.work.training import OwnTraining
from microgpt_core.components import Optimizer, write
from microgpt_core.components.peer import Training
from microgpt_core.engine.backends import REFERENCE
from microgpt_core.errors import ConfigurationError
from microgpt_core.models.gpt import GPT
from microgpt_core.testing import check_peer
from microgpt_core.training.optimizers import SGD, AdamW

torch = pytest.importorskip("torch")
from microgpt_bench.peers import torch_network, torch_training  # noqa: E402  they import PyTorch

# Small ones of odd sizes, of each architecture and batching that the golden models have.
SMALL = {
    "e": Golden("e", 27, 1, "random_window", sized(15, 2, 3, 7)),
    "w": Golden("w", 27, 3, "packed", sized(10, 1, 5, 12)),
    "char": Golden("char", 65, 3, "random_window", sized(21, 2, 3, 9)),
    "gpt2": Golden("gpt2", 53, 2, "random_window", GOLDEN["gpt2"].fields | sized(18, 2, 3, 11)),
}
THEIRS = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's compiler, about its own parts
COMPILED = ("compiled", "max-autotune", "whole-step")


def model_of(golden: Golden) -> GPT:
    """With weights so large, and biases that aren't 0, that a part that is forgotten is seen."""
    model, rng = golden.build(), random.Random(3)
    for p in model.parameters():
        write(p.data, [rng.gauss(p.mean, 0.3) for _ in range(p.value.size)])
    return model


def ours(name: str) -> OwnTraining:
    golden = SMALL[name]
    return OwnTraining(model_of(golden), golden.batches(3), golden.optimizer(), REFERENCE)


def theirs(name: str, way: str = "eager", precision: str = "float32", **optimizer: Any) -> Training:
    golden = SMALL[name]
    torch._dynamo.reset()
    adamw = replace(golden.optimizer(), **optimizer)
    return Torch().training(model_of(golden), golden.batches(3), adamw, way, precision, threads=1)


def differs(tmp_path: Path, name: str, found: Training) -> float:
    """The largest difference that is found before anything is timed."""
    write_down(ours(name), tmp_path / "expected.safetensors")
    return max(disagreement(found, tmp_path / "expected.safetensors").values())


def test_it_passes_the_kit() -> None:
    report = check_peer(Torch())
    assert report, report
    assert {r.state for r in report.results} == {"passed"}


@pytest.mark.parametrize("name", SMALL)
def test_losses_and_gradients_agree(name: str, tmp_path: Path) -> None:
    assert differs(tmp_path, name, theirs(name)) <= ALLOWED["float32"]


@pytest.mark.parametrize("name", SMALL)
def test_twenty_steps_agree(name: str) -> None:
    ones, others = ours(name), theirs(name)
    assert [others.run(1) for _ in range(20)] == pytest.approx([ones.run(1) for _ in range(20)], rel=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_steps_at_once_are_the_same_steps(name: str) -> None:
    assert theirs(name).run(5) == pytest.approx(ours(name).run(5), rel=1e-4)


@pytest.mark.parametrize("make", ["training", "generation"])
def test_it_keeps_no_memory_of_ours(make: str) -> None:
    """Or its peak would be higher by our weights."""
    golden = SMALL["gpt2"]
    model = model_of(golden)
    ours, more = weakref.ref(model), (golden.batches(3), golden.optimizer()) if make == "training" else ()
    made = getattr(Torch(), make)(model, *more, "eager", "float32", threads=1)
    made.run(1)
    del model
    gc.collect()
    assert ours() is None


@THEIRS
@pytest.mark.long
@pytest.mark.parametrize("name", ["w", "gpt2"])
@pytest.mark.parametrize("way", COMPILED)
def test_a_compiled_one_agrees(way: str, name: str, tmp_path: Path) -> None:
    assert differs(tmp_path, name, theirs(name, way)) <= ALLOWED["float32"]


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_agrees_as_far_as_it_can(name: str, tmp_path: Path) -> None:
    assert 1e-4 < differs(tmp_path, name, theirs(name, precision="bfloat16")) <= ALLOWED["bfloat16"]


def test_decay_leaves_gains_and_biases_alone() -> None:
    golden = SMALL["gpt2"]
    adamw = AdamW(lr=0.01, weight_decay=0.9)
    own = OwnTraining(model_of(golden), golden.batches(3), adamw, REFERENCE)
    peer = Torch().training(model_of(golden), golden.batches(3), adamw, "eager", "float32", 1)
    assert peer.run(6) == pytest.approx(own.run(6), rel=1e-4)


def test_the_model_keeps_its_weights() -> None:
    golden = SMALL["e"]
    model = model_of(golden)
    before = {name: bytes(w) for name, w in model.state().items()}
    Torch().training(model, golden.batches(3), golden.optimizer(), "eager", "float32", 1).run(3)
    assert {name: bytes(w) for name, w in model.state().items()} == before


def without_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch_training.as_rows
    monkeypatch.setattr(torch_training, "as_rows", lambda batch, dtype: rows(batch, dtype)._replace(mask=None))


def without_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    def linear(self: Any, name: str, x: Any) -> Any:
        bias = None if name.endswith("fc1") else self.weights.get(f"{name}.bias")
        return torch.nn.functional.linear(x, self.weights[f"{name}.weight"], bias)

    monkeypatch.setattr(torch_network.Network, "linear", linear)
    gradients = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda y, x: gradients(y, x, materialize_grads=True, allow_unused=True))


def another_gelu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(torch_network.ACTIVATIONS, "gelu_tanh", torch.nn.functional.gelu)


def another_eps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_network, "EPS", 1e-3)


def keys_with_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a bias whose gradient is 0 but for rounding; a thousandth of the largest is no rounding."""
    gradients = torch_training.parted
    shifted = lambda given: {n: g + 1e-2 if n.endswith("k.bias") else g for n, g in gradients(given).items()}  # noqa: E731
    monkeypatch.setattr(torch_training, "parted", shifted)


def padding_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_training, "IGNORED", -100)
    rows = torch_training.as_rows
    monkeypatch.setattr(
        torch_training, "as_rows", lambda *given: (r := rows(*given))._replace(targets=r.targets.clamp_min(0))
    )


@pytest.mark.parametrize(
    ("name", "plant"),
    [
        ("w", without_mask),
        ("w", padding_counts),
        ("gpt2", without_bias),
        ("gpt2", another_gelu),
        ("gpt2", keys_with_a_gradient),
        ("e", another_eps),
    ],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_a_wrong_twin_is_found(name: str, plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert differs(tmp_path, name, theirs(name)) > ALLOWED["float32"]


@pytest.mark.parametrize("wrong", [{"betas": (0.9, 0.9)}, {"lr": 2e-3}, {"weight_decay": 0.5}])
def test_another_optimizer_is_found(wrong: dict[str, Any], tmp_path: Path) -> None:
    assert differs(tmp_path, "char", theirs("char", **wrong)) > ALLOWED["float32"]


# What a model has that PyTorch's twin hasn't, and what is said of it.
UNKNOWN = {
    "activation: found tanh, allowed: for PyTorch relu": {"activation": "tanh"},
    "activation: found swiglu": {"activation": "swiglu"},
    "position: found rope, allowed: for PyTorch learned": {"position": "rope", "n_embd": 16},
    "norm_placement: found post": {"norm_placement": "post"},
    "window: found 3": {"window": 3},
    "dropout: found 0.1": {"dropout": 0.1},
    "n_kv_head: found 1, allowed: for PyTorch 4": {"n_kv_head": 1},
}


@pytest.mark.parametrize("said", UNKNOWN)
def test_an_unknown_part_is_named(said: str) -> None:
    model = GPT(vocab_size=27, **UNKNOWN[said])
    model.allocate()
    with pytest.raises(ConfigurationError, match=said):
        Torch().training(model, [], AdamW(), "eager", "float32", 1)


@pytest.mark.parametrize(
    ("optimizer", "way", "precision", "said"),
    [
        (SGD(), "eager", "float32", "optimizer: found sgd, allowed for PyTorch: adamw"),
        (AdamW(), "by-hand", "float32", "way: found 'by-hand' in float32"),
        (AdamW(), "eager", "float64", "way: found 'eager' in float64"),
    ],
)
def test_what_it_cannot_do_is_said(optimizer: Optimizer, way: str, precision: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Torch().training(model_of(SMALL["e"]), [], optimizer, way, precision, 1)


def test_frozen_parameters_are_refused() -> None:
    model = model_of(SMALL["e"])
    model.freeze(["wte"])
    with pytest.raises(ConfigurationError, match=r"freeze: found wte\.weight"):
        Torch().training(model, [], AdamW(), "eager", "float32", 1)


def test_where_it_is_not_installed_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt_bench.peers.torch.find_spec", lambda name: None)
    assert Torch().unavailable() == "PyTorch isn't installed; try: pip install torch"


def test_where_nothing_can_be_compiled_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: Any) -> Any:
        def call(x: Any) -> Any:
            raise RuntimeError("no g++\nand more")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(ConfigurationError, match=r"needs a C\+\+ compiler, doesn't work here: no g\+\+$"):
        theirs("e", "compiled")


def text_of(name: str, way: str, precision: str = "float32") -> list[int]:
    torch._dynamo.reset()
    return list(Torch().generation(model_of(SMALL[name]), way, precision, 1).run(2 * TOKENS))


@pytest.mark.parametrize("name", ["e", "gpt2"])
def test_it_writes_the_same_text(name: str) -> None:
    expected = OwnGeneration(model_of(SMALL[name]), REFERENCE).run(2 * TOKENS)  # more than a block
    assert text_of(name, "eager") == expected
    assert len(set(expected)) > 1


@THEIRS
@pytest.mark.long
@pytest.mark.parametrize("way", COMPILED)
def test_compiled_it_writes_the_same_text(way: str) -> None:
    assert text_of("gpt2", way) == text_of("gpt2", "eager")


def test_bfloat16_writes_too() -> None:
    assert len(text_of("gpt2", "eager", "bfloat16")) == 2 * TOKENS
