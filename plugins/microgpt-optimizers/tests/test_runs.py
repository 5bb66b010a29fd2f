"""In pipelines: every optimizer learns, a stopped run goes on with the same bits, and a plan says who moves what."""

import json
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.storage.safetensors import read_safetensors

SMALL: dict[str, Any] = {
    "model.n_embd": 8, "model.block_size": 8, "train.batch_size": 4, "backend": "reference", "stages": ["train"],
    "train.eval_interval": 10, "train.eval_batches": 4,
}  # fmt: skip
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "rmsprop": {"use": "rmsprop", "lr": 3e-3},
    "adagrad": {"use": "adagrad", "lr": 0.05},
    "lion": {"use": "lion", "lr": 5e-3},
    "adafactor": {"use": "adafactor", "lr": 0.1},
    "muon": {"use": "muon", "lr": 0.01, "rest": {"use": "adamw", "lr": 0.01}},
    "groups": {"use": "groups", "optimizer": {"use": "adamw", "lr": 0.01}, "groups": [{"match": "wte", "lr": 0.02}]},
    "split": {
        "use": "split",
        "optimizer": {"use": "adamw", "lr": 0.01},
        "match": "wte",
        "matched": {"use": "sgd", "lr": 1.0},
    },
    "clip-value": {"use": "clip-value", "optimizer": {"use": "adamw", "lr": 0.01}, "limit": 0.01},
    "average": {"use": "average", "optimizer": {"use": "adamw", "lr": 0.01}, "decay": 0.9},
}


def losses(folder: Path, name: str = "train/loss") -> list[float]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line[name] for line in map(json.loads, lines) if name in line]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns(name: str, tmp_path: Path) -> None:
    """From guessing, ln 27 = 3.296, to what AdamW comes to on the same text in as many steps, more or less."""
    settings = SMALL | {"optimizer": OPTIMIZERS[name], "train.max_steps": 60, "schedule": "constant"}
    run = mg.run("names", settings, output=tmp_path / "run")
    found = losses(run.folder)
    assert found[0] == pytest.approx(3.296, abs=0.05)
    assert sum(found[-10:]) / 10 < 2.75


@pytest.mark.parametrize("backend", ["numpy", "simd"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_backend_goes_the_references_way(name: str, backend: str, tmp_path: Path) -> None:
    pytest.importorskip(f"microgpt_{backend}")
    if backend == "simd":
        pytest.importorskip("microgpt_optimizers.native._native", reason="not compiled")
    settings = SMALL | {"optimizer": OPTIMIZERS[name], "train.max_steps": 20}
    runs = [mg.run("names", settings | {"backend": who}, output=tmp_path / who) for who in ("reference", backend)]
    true, mine = (losses(run.folder) for run in runs)
    assert mine == pytest.approx(true, abs=2e-4)
    plan = mg.plan("names", settings | {"backend": backend})
    assert plan.update.fallbacks() == {}


STATEFUL: dict[str, dict[str, Any]] = {
    "everything at once": {
        "optimizer": {
            "use": "average",
            "decay": 0.9,
            "optimizer": {"use": "clip-value", "optimizer": OPTIMIZERS["muon"]},
        },
        "schedule": {"use": "plateau", "patience": 0, "gamma": 0.5, "threshold": 1.0},
    },
    "adafactor": {"optimizer": OPTIMIZERS["adafactor"], "schedule": {"use": "restarts", "period": 7}},
}


@pytest.mark.parametrize("name", STATEFUL)
def test_stopped_and_resumed_it_has_the_same_bits(name: str, tmp_path: Path) -> None:
    settings = SMALL | STATEFUL[name] | {"train.eval_interval": 5, "train.checkpoint_interval": 5}
    whole = mg.run("names", settings | {"train.max_steps": 16}, output=tmp_path / "whole").folder
    part = mg.run("names", settings | {"train.max_steps": 10}, output=tmp_path / "part").folder
    mg.resume(part, {"train.max_steps": 16})
    last = Path("checkpoints", "step-000016")
    for file in (last / "model.safetensors", last / "optimizer.safetensors"):
        with read_safetensors(whole / file) as a, read_safetensors(part / file) as b:
            assert {n: x.tobytes() for n, x in a.items()} == {n: x.tobytes() for n, x in b.items()}
    if "plateau" in str(settings["schedule"]):
        assert len(set(losses(whole, "lr"))) > 1  # it did go down


def test_resolved_reads_back_as_the_same(tmp_path: Path) -> None:
    settings = SMALL | STATEFUL["everything at once"] | {"train.max_steps": 2}
    folder = mg.run("names", settings, output=tmp_path / "first").folder
    again = mg.run(folder / "resolved.yaml", output=tmp_path / "again").folder
    assert (again / "resolved.yaml").read_bytes() == (folder / "resolved.yaml").read_bytes()
    assert (again / "metrics.jsonl").read_bytes() == (folder / "metrics.jsonl").read_bytes()


def test_a_pattern_that_means_nothing_ends_before_anything_begins(tmp_path: Path) -> None:
    groups = {"use": "groups", "groups": [{"match": "wtee", "lr": 1e-3}]}
    with pytest.raises(mg.MicrogptError, match="did you mean 'wte'"):
        mg.run("names", SMALL | {"optimizer": groups}, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_plan_says_who_moves_what() -> None:
    plan = mg.plan("names", SMALL | {"optimizer": {"use": "muon", "lr": 0.02, "rest": {"use": "adamw", "lr": 0.01}}})
    by_rest = plan.movers["adamw_update, lr x 0.5"]
    assert by_rest == ["wte.weight", "wpe.weight", "lm_head.weight"]
    others = [name for rule, names in plan.movers.items() if rule.startswith("muon_update, scale") for name in names]
    assert len(others) + len(by_rest) == len(list(plan.model.parameters()))
