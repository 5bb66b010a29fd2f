"""Whether two runs say the same: the ratios of the benchmark that the docs show, minutes apart."""

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

NEAR = 1.1
ASKED = ("bench", "step", "--model", "e16,char-small", "--backend", "reference,numpy", "--against", "torch", "--json")
SAME = ("model", "candidate", "precision", "against", "against_precision")

Ratios = dict[tuple[str, ...], float]


def ratios(report: dict[str, Any]) -> Ratios:
    return {tuple(one[name] for name in SAME): one["ratio"] for one in report["ratios"]}


def apart(a: Ratios, b: Ratios) -> dict[tuple[str, ...], float]:
    """The ratios that differ by more than a tenth, and by what factor; infinity where one is missing."""
    factors = {
        who: max(a[who] / b[who], b[who] / a[who]) if who in a and who in b else float("inf") for who in {**a, **b}
    }
    return {who: factor for who, factor in factors.items() if factor > NEAR}


ONE = {("e16", "numpy", "float32", "torch", "float32"): 2.0, ("e16", "reference", "float32", "torch", "float32"): 0.02}


@pytest.mark.parametrize("change", [{}, {0: 1.09}, {0: 1 / 1.09, 1: 1.05}])
def test_what_is_near(change: dict[int, float]) -> None:
    assert not apart(ONE, {who: ratio * change.get(i, 1.0) for i, (who, ratio) in enumerate(ONE.items())})


@pytest.mark.parametrize("other", [{}, dict.fromkeys(ONE, 2.0), {who: 1.12 * ratio for who, ratio in ONE.items()}])
def test_planted_what_is_not(other: Ratios) -> None:
    assert apart(ONE, other)
    assert apart(other, ONE)


@pytest.mark.long
@pytest.mark.skipif(not (find_spec("torch") and find_spec("microgpt_numpy")), reason="needs PyTorch and microgpt-numpy")
def test_two_runs_give_the_same_ratios() -> None:
    command = [sys.executable, "-m", "microgpt_core", *ASKED]
    told = [subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout for _ in range(2)]
    first, second = (ratios(json.loads(text)) for text in told)
    assert len(first) >= 3  # e16 by both backends, char-small by one
    assert not apart(first, second), (first, second)
