"""`microgpt evaluate` on a model that knows nothing: every figure is told, and every one of them is JSON."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import microgpt_core as mg
from microgpt_core.cli.main import main

LOST = {"model.init_std": 3000.0, "train.max_steps": 1, "dataset.validation": 0.01, "stages": ["train", "evaluate"]}


def test_a_loss_beyond_any_perplexity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = mg.run("names", LOST)
    recorded = json.loads((run.folder / "evaluation.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert set(recorded) == {"loss", "guessing"}
    assert recorded["loss"] > 1000
    table, as_json = (
        CliRunner().invoke(main, ["evaluate", "latest", *how], prog_name="microgpt") for how in ([], ["--json"])
    )
    assert table.stdout.startswith(f"loss                 {recorded['loss']:.4f} nats per token\nguessing")
    assert json.loads(as_json.stdout, parse_constant=pytest.fail) == recorded
