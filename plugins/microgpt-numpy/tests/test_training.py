"""Training: `backend: numpy` goes the reference's way, with no op left to the reference."""

import json
from pathlib import Path

import pytest

import microgpt_core as mg
from microgpt_core.components import Kernel
from microgpt_core.ops import OPS

SMALL: dict[str, object] = {"stages": ["train"], "train.max_steps": 20, "model.n_embd": 8, "model.block_size": 8}
MODELS: dict[str, dict[str, object]] = {  # between them, every op that a model or an optimizer can name
    "microgpt": {},
    "llama": {"model.position": "rope", "model.activation": "swiglu", "model.n_kv_head": 2, "model.norm_weight": True,
              "model.norm_final": True, "model.tie_weights": True, "model.window": 5, "train.grad_clip": 0.5},
    "gpt2": {"model.norm": "layernorm", "model.norm_weight": True, "model.norm_bias": True, "model.bias": True,
             "model.activation": "gelu_tanh", "model.dropout": 0.1, "optimizer": {"use": "adam"},
             "train.label_smoothing": 0.1},
    "old": {"model.position": "sinusoidal", "model.norm_placement": "post", "model.activation": "gelu",
            "optimizer": {"use": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}, "precision": "float64"},
}  # fmt: skip


def losses(folder: Path, backend: str, overrides: dict[str, object]) -> list[float]:
    mg.run("names", {**overrides, "backend": backend}, output=folder / backend)
    lines = (folder / backend / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["train/loss"] for line in lines]


@pytest.mark.parametrize("model", MODELS)
def test_every_kind_of_model_goes_the_references_way(model: str, tmp_path: Path) -> None:
    overrides = {**SMALL, **MODELS[model]}
    mine, true = (losses(tmp_path, backend, overrides) for backend in ("numpy", "reference"))
    assert mine == pytest.approx(true, abs=1e-5)
    assert len(mine) == 20
    plan = mg.plan("names", {**overrides, "backend": "numpy"})
    assert plan.micro.fallbacks() == plan.update.fallbacks() == {}


@pytest.mark.slow
def test_names_has_the_references_losses_over_a_hundred_steps(tmp_path: Path) -> None:
    overrides = {"stages": ["train"], "train.max_steps": 100}
    mine, true = (losses(tmp_path, backend, overrides) for backend in ("numpy", "reference"))
    assert len(mine) == 100
    assert mine == pytest.approx(true, abs=1e-5)


def test_every_op_has_its_kernel_forward_and_backward(table: dict[str, Kernel]) -> None:
    assert sorted(table) == sorted(f"numpy/{name}" for name in OPS)
    for name, op in OPS.items():
        kernel = type(table[f"numpy/{name}"])
        assert kernel.forward is not Kernel.forward
        assert (kernel.backward is not Kernel.backward) == bool(op.signature.backward), name
