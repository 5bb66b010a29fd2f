"""Every part of the family, named in YAML: trained, saved, read again, and asked for texts one by one and together."""

from pathlib import Path

import pytest

import microgpt_core as mg
from microgpt_core.components import flat
from microgpt_core.components.slot import fits_slot
from microgpt_core.models.gpt import GPT
from microgpt_core.ops import OPS

PIPELINE = """
dataset: {{use: text, path: few.txt, document: line}}
model: {{n_layer: 2, n_head: 2, n_embd: 8, block_size: 8, init_output_std: 0.1, {part}}}
train: {{max_steps: 3, batch_size: 2, eval_interval: 0}}
stages: [train]
"""
NAMED = {slot: sorted(name for name, op in OPS.items() if fits_slot(op, slot)) for slot in GPT.slots.values()}
PARTS = [
    *(f"{slot}: {name}" for slot, names in NAMED.items() for name in names),
    *(f"position: {name}" for name in ("learned", "rope", "sinusoidal", "none")),
    "norm_weight: true",
    "norm: layernorm, norm_bias: true",
    "norm: layernorm, norm_weight: true, norm_bias: true, norm_eps: 1e-3",
    "norm_placement: post",
    "norm_final: true, norm_embedding: false",
    "bias: true, activation: swiglu",
    "tie_weights: true",
    "n_kv_head: 1",
    "window: 3",
    "dropout: 0.2",
    "mlp_ratio: 2",
    "n_hidden: 5",
    "position: rope, rope_theta: 50, window: 2, n_kv_head: 1",
]


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("few.txt").write_text("anna\nzoe\nadam\nemmanuel\noda\neva\n", encoding="utf-8")


def weights(lr: float) -> dict[str, list[float]]:
    """What a run with this learning rate leaves behind."""
    run = mg.run("part.yaml", {"optimizer.lr": lr})
    return {name: flat(x).tolist() for name, x in run.network.state().items()}


def test_the_table_names_what_a_pipeline_may_name() -> None:
    assert NAMED["activation"] == [
        "gelu", "gelu_tanh", "relu", "relu2", "sigmoid", "silu", "softmax", "swiglu", "tanh",
    ]  # fmt: skip
    assert (NAMED["norm"], NAMED["attention"]) == (["layernorm", "rmsnorm"], ["attention"])


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_trained_saved_and_asked(part: str) -> None:
    Path("part.yaml").write_text(PIPELINE.format(part=part), encoding="utf-8")
    untouched, trained = weights(lr=1e-30), weights(lr=0.01)
    assert [name for name, x in trained.items() if x == untouched[name]] == []
    model = mg.load("part-2")
    assert {name: flat(x).tolist() for name, x in model.model.state().items()} == trained
    assert ("wpe.weight" in trained) == ("position" not in part or "learned" in part)
    one, many = (
        model.generate_many(["a", "", "emmanuelanna"], seed=1, batch_size=n, max_new_tokens=20) for n in (1, 3)
    )
    assert one == many
