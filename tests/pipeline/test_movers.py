"""What a plan says of who moves which parameters."""

from dataclasses import dataclass

import pytest

from microgpt_core.components import Optimizer, Rule
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline.preview.movers import movers, starred
from microgpt_core.training.optimizers import SGD, AdamW
from microgpt_core.training.update import Update


@dataclass
class Mixed(AdamW):
    """A tenth of the rate for the embedding; block 1 by another op."""

    def rules(self, name: str, shape: tuple[int, ...], decay: bool) -> list[Rule]:
        if name.startswith("block.1"):
            return [Rule("sgd_update", {}, {"momentum": 0.0, "nesterov": False}, 20.0)]
        return [Rule("adamw_update", self.state, self.attributes(decay), 0.1 if name.startswith("wte") else 1.0)]


def said(optimizer: Optimizer, **fields: object) -> dict[str, list[str]]:
    model = GPT(vocab_size=5, block_size=3, n_layer=2, n_head=1, n_embd=4, **fields)
    model.set_precision("float32")
    found = movers(Update(model, optimizer))
    every = [name for names in found.values() for name in names]
    assert sorted(every) == sorted(p.name for p in model.parameters())
    return {rule: starred(names, every) for rule, names in found.items()}


def test_one_op_for_all_is_one_line() -> None:
    assert list(said(SGD())) == ["sgd_update"]
    assert list(said(AdamW())) == ["adamw_update"]  # of matrices alone, which all decay


def test_settings_are_said_where_they_differ() -> None:
    found = said(AdamW(weight_decay=0.1), bias=True)
    assert list(found) == ["adamw_update, weight_decay 0.1", "adamw_update, weight_decay 0"]
    assert "block.*.mlp.fc1.bias" in found["adamw_update, weight_decay 0"]


def test_shares_of_the_rate_and_other_ops() -> None:
    found = said(Mixed())
    assert found["adamw_update, lr x 0.1"] == ["wte.weight"]
    assert found["sgd_update, lr x 20"][0] == "block.1.attention.q.weight"
    assert "block.0.mlp.fc1.weight" in found["adamw_update"]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["block.0.a.weight", "block.1.a.weight"], ["block.*.a.weight"]),
        (["block.0.a.weight"], ["block.0.a.weight"]),
        (["wte", "block.1.b", "block.0.b"], ["wte", "block.*.b"]),
    ],
)
def test_all_blocks_are_one_name(names: list[str], shown: list[str]) -> None:
    assert starred(names, ["wte", "block.0.a.weight", "block.1.a.weight", "block.0.b", "block.1.b"]) == shown
