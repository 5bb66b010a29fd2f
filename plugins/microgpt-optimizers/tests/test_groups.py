"""Which parameter is moved by what: groups, splits, Muon's rest; and what is said of patterns that can't be."""

from typing import Any

import pytest

from microgpt_core.components import Optimizer
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.training.optimizers import SGD, AdamW
from microgpt_optimizers.average import Average
from microgpt_optimizers.clip_value import ClipValue
from microgpt_optimizers.groups import Groups
from microgpt_optimizers.lion import Lion
from microgpt_optimizers.muon import Muon
from microgpt_optimizers.split import Split

MATRIX, VECTOR = (8, 8), (8,)


def moved_by(optimizer: Optimizer, name: str, shape: tuple[int, ...] = MATRIX) -> list[tuple[str, float]]:
    """The ops of a parameter's rules, and the rate that each has at the full learning rate."""
    rules = optimizer.rules(name, shape, len(shape) > 1)
    return [(rule.update, pytest.approx(optimizer.lr * rule.lr_factor)) for rule in rules]


def test_the_first_group_that_matches_counts() -> None:
    groups = [{"match": ["wte", "lm_head"], "lr": 1e-4}, {"match": "block.*.mlp", "lr": 1e-2, "weight_decay": 0.5},
              {"match": "*", "lr": 1e-5}]  # fmt: skip
    optimizer = Groups(AdamW(lr=1e-3), groups)
    assert moved_by(optimizer, "lm_head.weight") == [("adamw_update", 1e-4)]
    assert moved_by(optimizer, "block.3.mlp.fc1.weight") == [("adamw_update", 1e-2)]
    assert moved_by(optimizer, "block.3.attention.q.weight") == [("adamw_update", 1e-5)]
    assert optimizer.rules("block.3.mlp.fc1.weight", MATRIX, True)[0].attributes["weight_decay"] == 0.5
    assert optimizer.rules("block.3.mlp.fc1.bias", VECTOR, False)[0].attributes["weight_decay"] == 0.0


def test_what_is_in_no_group_is_moved_as_without() -> None:
    optimizer = Groups(AdamW(lr=1e-3), [{"match": "wte", "lr": 1e-4}])
    assert optimizer.rules("wpe.weight", MATRIX, True) == AdamW(lr=1e-3).rules("wpe.weight", MATRIX, True)


def test_a_split_gives_each_side_its_own_optimizer() -> None:
    optimizer = Split(AdamW(lr=1e-3), match="wte", matched=SGD(lr=0.5))
    assert moved_by(optimizer, "wte.weight") == [("sgd_update", 0.5)]
    assert moved_by(optimizer, "wpe.weight") == [("adamw_update", 1e-3)]
    assert optimizer.updates == ["adamw_update", "sgd_update"]


def test_muon_leaves_tables_and_vectors_to_the_rest() -> None:
    optimizer = Muon(lr=2e-3, rest=AdamW(lr=1e-3))
    for name in ("wte.weight", "wpe.weight", "lm_head.weight"):
        assert moved_by(optimizer, name) == [("adamw_update", 1e-3)]
    assert moved_by(optimizer, "block.0.mlp.fc1.weight") == [("muon_update", 2e-3)]
    assert moved_by(optimizer, "block.0.mlp.fc1.bias", VECTOR) == [("adamw_update", 1e-3)]
    assert moved_by(Muon(others=["block.0"]), "wte.weight") == [("muon_update", 1e-3)]
    assert moved_by(Muon(others=["block.0"]), "block.0.mlp.fc1.weight") == [("adamw_update", 1e-3)]


def test_wrappers_within_wrappers() -> None:
    """From the inside out: groups of AdamW, clipped, averaged."""
    optimizer = Average(ClipValue(Groups(AdamW(lr=1e-3), [{"match": "wte", "lr": 1e-4}]), limit=0.1))
    assert [rule.update for rule in optimizer.rules("wte.weight", MATRIX, True)] == optimizer.updates
    assert optimizer.updates == ["clip_value", "adamw_update", "average_update"]
    assert (optimizer.lr, optimizer.average) == (1e-3, "average")
    inside = ClipValue(Average(AdamW()))
    assert inside.average == "average"


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (Groups(AdamW(), [{"match": "wtee", "lr": 1e-4}]), r"in groups.0.match 'wtee' \(did you mean 'wte'\?\)"),
        (Groups(AdamW(), [{"match": "wte", "lr": 1.0}, {"match": ["wpe", "block.7"], "lr": 1.0}]),
         r"groups.1.match 'block.7' \(did you mean 'block.0'\?\)"),
        (Split(AdamW(), match="block.*.mpl"), r"in match 'block.\*.mpl'"),
        (Muon(others=["emb"]), "in others 'emb'"),
        (Average(ClipValue(Split(AdamW(), match="heads"))), "in match 'heads'"),
    ],
)  # fmt: skip
def test_a_pattern_that_means_nothing_is_refused_by_the_model(optimizer: Optimizer, message: str, steps: Any) -> None:
    with pytest.raises(UnknownNameError, match=message):
        steps(optimizer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Groups(AdamW(), []), "groups: found"),
        (lambda: Groups(AdamW(), [{"lr": 1.0}]), "groups.0.match: found None, allowed: a pattern"),
        (lambda: Groups(AdamW(), [{"match": 3}]), "groups.0.match: found 3, allowed: a pattern"),
        (lambda: Groups(AdamW(), [{"match": []}]), "groups.0.match"),
        (
            lambda: Groups(AdamW(), [{"match": "wte", "rl": 1.0}]),
            r"AdamW|adamw in groups.0 'rl' \(did you mean 'lr'\?\)",
        ),
        (lambda: Groups(AdamW(), [{"match": "wte", "lr": -1.0}]), "groups.0: lr: found -1.0"),
        (lambda: Groups(AdamW(), [{"match": "wte", "lr": "fast"}]), "groups.0: "),
        (lambda: Split(AdamW()), "match: found None, allowed: a pattern"),
        (lambda: Split(Average(AdamW()), match="wte"), "optimizer: found average"),
        (lambda: Average(Average(AdamW())), "optimizer: found average, allowed: one that keeps no average itself"),
        (lambda: Average(AdamW(), decay=1.1), "decay: found 1.1"),
        (lambda: Average(AdamW(), start=-1), "start: found -1"),
        (lambda: ClipValue(AdamW(), limit=0.0), "limit: found 0.0"),
        (lambda: Muon(rest=Average(AdamW())), "rest: found average"),
        (lambda: Muon(iterations=0), "iterations: found 0"),
        (lambda: Muon(scale="large"), "scale: found large, allowed: adamw or original"),
        (lambda: Lion(betas=(0.9,)), "betas: found"),
        (lambda: Lion(weight_decay=-1.0), "weight_decay: found -1.0"),
    ],
)
def test_impossible_fields_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
