"""`prediction-entropy`: the formula by hand, padding left out, and what a run writes down."""

import json
from math import exp, log
from pathlib import Path
from struct import pack

import pytest

import microgpt_core as mg
from microgpt_core.components import Buffer
from microgpt_reverse.entropy import PredictionEntropy, entropy

QUARTERS = -(0.75 * log(0.75) + 0.25 * log(0.25))  # of the probabilities 3/4 and 1/4


@pytest.mark.parametrize(
    ("logits", "nats"),
    [
        ([0.0] * 27, log(27)),  # anything may come
        ([log(3.0), 0.0], QUARTERS),
        ([log(3.0) + 1000.0, 1000.0], QUARTERS),  # only differences count
        ([1.0, 0.0, -1.0], -sum(p * log(p) for p in [exp(z) / (exp(1) + 1 + exp(-1)) for z in (1, 0, -1)])),
        ([800.0, 0.0], 0.0),  # sure
        ([5.0], 0.0),
    ],
)
def test_entropy_by_hand(logits: list[float], nats: float) -> None:
    assert entropy(logits) == pytest.approx(nats, rel=1e-12, abs=1e-12)


def buffer(rows: list[list[float]]) -> Buffer:
    """(1, T, V) float32."""
    data = b"".join(pack(f"{len(row)}f", *row) for row in rows)
    return memoryview(data).cast("f", (1, len(rows), len(rows[0])))


def test_padding_is_left_out() -> None:
    """Two predictions that count, of 2 and 1 bits, and one that doesn't, of 0."""
    logits = buffer([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, -200.0, -200.0], [200.0, 0.0, 0.0, 0.0]])
    grad = buffer([[0.1, -0.1, 0.0, 0.0], [0.0, 0.2, -0.2, 0.0], [0.0, 0.0, 0.0, 0.0]])
    analyzer = PredictionEntropy()
    analyzer.observe(1, {"lm_head": logits, "grad lm_head": grad})
    assert analyzer.report()["entropy"] == {1: pytest.approx(1.5 * log(2.0))}


@pytest.mark.parametrize(("every", "steps"), [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (10, [1])])
def test_it_looks_at_the_first_step_and_then_at_every_so_many(every: int, steps: list[int]) -> None:
    analyzer = PredictionEntropy(every)
    for step in range(1, 6):
        analyzer.observe(step, {"lm_head": buffer([[0.0, 0.0]]), "grad lm_head": buffer([[0.5, -0.5]])})
    assert list(analyzer.report()["entropy"]) == steps


def test_in_a_run_a_fresh_model_guesses_and_a_trained_one_is_surer(tmp_path: Path) -> None:
    settings = {"train.max_steps": 21, "stages": ["train"], "analyzers": [{"use": "prediction-entropy", "every": 20}]}
    mg.run("names", settings, output=tmp_path / "run")
    written = json.loads((tmp_path / "run" / "analysis.json").read_text(encoding="utf-8"))
    found = written["reverse/prediction-entropy"]["entropy"]
    assert list(found) == ["1", "21"]
    assert found["1"] == pytest.approx(log(27), rel=0.01)
    assert found["21"] < 2.9
