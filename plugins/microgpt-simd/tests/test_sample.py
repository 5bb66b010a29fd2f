"""The token that is drawn is the reference's for every chance, whatever is kept: odd widths, ties, extremes."""

from array import array
from bisect import bisect
from itertools import accumulate
from math import exp, inf, log, nan
from random import Random
from typing import Any

import pytest

from microgpt_core.components import Buffer, new_buffer
from microgpt_core.ops.sample import probabilities
from microgpt_simd.ops import KERNELS

SURE = 3e-6  # the share of a choice that float32 may give to the neighbour
ROWS = 61


def drawn(row: list[float], chances: list[int], **settings: Any) -> list[tuple[int, float, float]]:
    """The kernel's choices: one a chance, all from the same logits."""
    shape = (len(chances), len(row))
    logits = Buffer(array("f", row * len(chances))).cast("B").cast("f", shape)
    outs = [new_buffer(shape[:1], format) for format in "iff"]
    asked = {"temperature": 1.0, "top_k": None, "top_p": None} | settings
    names = ("token", "probability", "logprob", "logits", "chance")
    views = dict(zip(names, [*outs, logits, Buffer(array("i", chances))]))
    kernel = KERNELS["sample"]()
    shapes, formats = {n: v.shape for n, v in views.items()}, {n: v.format for n, v in views.items()}
    lent = kernel.workspace("forward", shapes, formats, asked)
    kernel.prepare("forward", views, asked, new_buffer((lent,), "B"))()
    return list(zip(*[out.tolist() for out in outs]))


def logits_of(kind: str, width: int) -> list[float]:
    rng = Random(width)
    row = list(array("f", [rng.gauss(0.0, 3.0) for _ in range(width)]))
    if kind == "equals":
        return [float(round(z)) for z in row]
    if kind == "signed zeros":
        return [rng.choice((0.0, -0.0)) for _ in row]
    if kind == "some impossible":
        return [-inf if i % 3 and i != width - 1 else z for i, z in enumerate(row)]
    return sorted(row, reverse=True) if kind == "falling" else row


SETTINGS: list[dict[str, Any]] = [
    {}, {"temperature": 0.0}, {"temperature": 0.5}, {"top_k": 1}, {"top_k": 5}, {"top_k": 40, "temperature": 2.0},
    {"top_p": 1e-310}, {"top_p": 0.01}, {"top_p": 0.5}, {"top_p": 0.95}, {"top_p": 1.0}, {"top_k": 33, "top_p": 0.8},
    {"top_k": 10**6, "top_p": 0.9, "temperature": 1.7}, {"temperature": 1e-300}, {"temperature": 1e300, "top_k": 7},
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", ["any", "falling", "equals", "signed zeros", "some impossible"])
@pytest.mark.parametrize("width", [1, 7, 17, 65, 1000])
def test_every_chance_draws_what_the_reference_draws(
    width: int, kind: str, settings: dict[str, Any], level: str
) -> None:
    row, rng = logits_of(kind, width), Random(str(settings))
    chances = [0, 2**31 - 1, *(rng.randrange(2**31) for _ in range(ROWS))]
    asked = {"temperature": 1.0, "top_k": None, "top_p": None} | settings
    shares = probabilities(row, **asked)
    sums, surprise = list(accumulate(shares)), log(sum(exp(z - max(row)) for z in row))
    for chance, (token, probability, logprob) in zip(chances, drawn(row, chances, **settings)):
        near = [min(bisect(sums, chance / 2**31 + off), width - 1) for off in (-SURE, SURE)]
        assert near[0] <= token <= near[1], (chance, token, near)
        assert shares[token] > 0, "left out by top_k or top_p"
        assert probability == pytest.approx(shares[token], rel=2e-5)
        assert logprob == pytest.approx(row[token] - max(row) - surprise, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("bad", [nan, inf])
@pytest.mark.parametrize("width", [1, 17, 1000])
def test_logits_that_allow_no_choice(width: int, bad: float, level: str) -> None:
    """Wherever they are, or where all are minus infinity; the rows around have their choice."""
    for at in {0, width // 2, width - 1}:
        row = logits_of("any", width)
        row[at] = bad
        for token, probability, logprob in drawn(row, [5, 6], top_k=3):
            assert token == -1
            assert probability != probability
            assert logprob != logprob
    assert [token for token, _, _ in drawn([-inf] * width, [0])] == [-1]
