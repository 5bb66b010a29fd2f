"""From logits to a token: temperature, top-k, top-p, ties, chances, and numbers that aren't numbers."""

import json
import math
import random
import subprocess
import sys
from collections import Counter
from itertools import accumulate
from pathlib import Path

import pytest

from microgpt_core import ops
from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import ConfigurationError, ShapeError
from microgpt_core.ops.sample import choose, probabilities as probabilities_of

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "sampling.py"
NAN, INF = math.nan, math.inf
MOST = 2**31 - 1  # the largest chance


def probabilities(
    logits: list[float], temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> list[float]:
    return probabilities_of(logits, temperature, top_k, top_p)


def random_logits(seed: int, n: int = 20) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0.0, 2.0) for _ in range(n)]


def softmax(logits: list[float], temperature: float = 1.0) -> list[float]:
    powers = [math.exp(z / temperature) for z in logits]
    return [p / math.fsum(powers) for p in powers]


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 3.0])
def test_temperature_divides_the_logits(temperature: float) -> None:
    logits = random_logits(1)
    assert probabilities(logits, temperature) == pytest.approx(softmax(logits, temperature), rel=1e-12)


def test_temperature_0_takes_the_likeliest_and_the_first_of_equals() -> None:
    assert probabilities([1.0, 3.0, 3.0, 2.0], 0) == [0.0, 1.0, 0.0, 0.0]
    assert probabilities([7.0, 7.0], 0, 2, 0.1) == [1.0, 0.0]
    assert {choose(probabilities([5.0] * 9, 0), i / 50) for i in range(50)} == {0}


@pytest.mark.parametrize("temperature", [1e-300, 5e-324, 1e-8])
def test_a_temperature_near_0_is_greedy_without_overflow(temperature: float) -> None:
    assert probabilities([1.0, 3.0, -1e300, 2.0], temperature) == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("logits", [[1e308, -1e308], [1e308, 1e308], [-1e308, -1e308], [0.0, -INF], [3.0, -INF, 3.0]])
def test_extreme_logits_give_probabilities(logits: list[float]) -> None:
    shares = probabilities(logits)
    assert math.fsum(shares) == 1.0
    assert all(p == 0.0 for p, z in zip(shares, logits) if z == -INF)


@pytest.mark.parametrize("k", [1, 2, 7, 20, 99])
def test_only_k_ids_are_ever_drawn(k: int) -> None:
    logits, rng = random_logits(2), random.Random(4)
    likeliest = sorted(range(20), key=lambda i: -logits[i])[:k]
    shares = probabilities(logits, 2.0, k)
    drawn = {choose(shares, rng.random()) for _ in range(5000)}
    assert drawn <= set(likeliest)
    assert len(drawn) == min(k, 20)
    expected = softmax([logits[i] for i in likeliest], 2.0)
    assert [shares[i] for i in likeliest] == pytest.approx(expected, rel=1e-12)


def test_top_k_keeps_exactly_k_of_equals() -> None:
    assert probabilities([1.0, 1.0, 1.0, 1.0], top_k=2) == [0.5, 0.5, 0.0, 0.0]
    assert probabilities([0.0, 1.0, 1.0, 1.0], top_k=2) == [0.0, 0.5, 0.5, 0.0]


@pytest.mark.parametrize("top_p", [0.01, 0.3, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_top_p_keeps_the_fewest_that_hold_the_mass(top_p: float, seed: int) -> None:
    logits = random_logits(seed)
    whole = softmax(logits)
    shares = probabilities(logits, top_p=top_p)
    kept = [i for i, p in enumerate(shares) if p > 0]
    mass = math.fsum(whole[i] for i in kept)
    least = min(kept, key=lambda i: whole[i])
    assert mass >= top_p - 1e-12
    assert mass - whole[least] < top_p
    assert all(whole[i] >= whole[least] for i in kept)
    assert [shares[i] for i in kept] == pytest.approx([whole[i] / mass for i in kept], rel=1e-12)


def test_top_p_is_of_what_top_k_left() -> None:
    logits = [math.log(p) for p in (0.4, 0.3, 0.2, 0.1)]
    shares = probabilities(logits, top_k=2, top_p=0.5)  # of 0.4 / 0.7 and 0.3 / 0.7
    assert shares == [1.0, 0.0, 0.0, 0.0]
    assert probabilities(logits, top_p=0.5) == pytest.approx([4 / 7, 3 / 7, 0.0, 0.0])


@pytest.mark.parametrize("order", ["random", "rising", "falling", "with equals"])
@pytest.mark.parametrize("top_p", [None, 0.001, 0.5, 0.97])
@pytest.mark.parametrize("top_k", [None, 1, 7, 300, 5000])
def test_of_thousands_those_are_kept_that_a_plain_sum_says(top_k: int | None, top_p: float | None, order: str) -> None:
    rng = random.Random(5)
    logits = [rng.gauss(0, 3) for _ in range(3000)]
    if order == "with equals":
        logits = [float(round(z)) for z in logits]
    elif order != "random":
        logits.sort(reverse=order == "falling")
    whole = softmax(logits)
    kept = sorted(range(3000), key=lambda i: -whole[i])[:top_k]
    if top_p is not None:
        mass, needed = accumulate(whole[i] for i in kept), top_p * sum(whole[i] for i in kept)
        kept = kept[: next((n for n, m in enumerate(mass, 1) if m >= needed - 1e-12), len(kept))]
    shares = probabilities(logits, top_k=top_k, top_p=top_p)
    assert [i for i, share in enumerate(shares) if share] == sorted(kept)
    assert math.fsum(shares) == pytest.approx(1.0)


def test_choices_have_their_probabilities() -> None:
    shares = [0.5, 0.0, 0.3, 0.2]
    counts = Counter(choose(shares, (i + 0.5) / 1000) for i in range(1000))
    assert counts == {0: 500, 2: 300, 3: 200}


def test_rounding_never_reaches_an_impossible_id() -> None:
    third = probabilities([0.0] * 12, top_k=3)
    for chance in (MOST / 2**31, 1.0 - 2**-53, 1.0):
        assert choose(third, chance) == 2
        assert choose([0.1] * 10 + [0.0] * 5, chance) == 9
    assert choose([0.0, 1.0], 0.0) == 1


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_the_log_probability_is_the_models_own(shift: float) -> None:
    """Without temperature and cuts, which make of three tokens one that is certain."""
    row = [1.0 + shift, 3.0 + shift, 2.5 + shift]
    token, probability, logprob = ops.sample(tensor([row], "float64"), tensor([9], "int32"), temperature=0.3, top_k=1)
    assert (token.tolist(), probability.tolist()) == ([1], [1.0])
    assert logprob.item() == pytest.approx(math.log(softmax([1.0, 3.0, 2.5])[1]), rel=1e-10)


def test_each_row_has_a_chance_of_its_own() -> None:
    """And its place, however many axes the rows have."""
    logits = tensor([[[0.0, 0.0], [0.0, 0.0], [9.0, -9.0]]] * 2)
    chances = tensor([[0, MOST, MOST // 2], [2**30 - 1, 2**30, MOST]], "int32")
    token, probability, logprob = ops.sample(logits, chances)
    assert token.dtype == "int32"
    assert token.tolist() == [[0, 1, 0], [0, 1, 1]]
    assert [p for row in probability.tolist() for p in row] == pytest.approx([0.5, 0.5, 1, 0.5, 0.5, 1.5e-8], rel=0.02)
    assert logprob.tolist()[1][2] == pytest.approx(-18.0, abs=1e-6)


@pytest.mark.parametrize(
    "logits", [[NAN, 1.0], [1.0, NAN], [1.0, NAN, 2.0], [INF, 1.0], [-INF, -INF], [NAN], [INF, NAN]]
)
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.0}, {"temperature": 0.5, "top_k": 1}, {"top_p": 0.5}])
def test_logits_that_allow_no_choice_give_the_token_minus_1(logits: list[float], settings: dict) -> None:
    """Its neighbours have theirs."""
    fine = [0.0, *[-9.0] * (len(logits) - 1)]
    token, probability, logprob = ops.sample(tensor([fine, logits, fine]), tensor([5, 5, 5], "int32"), **settings)
    assert token.tolist() == [0, -1, 0]
    for out in (probability, logprob):
        assert [math.isnan(x) for x in out.tolist()] == [False, True, False]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "temperature: found -1.0, allowed: 0 or more"),
        ({"temperature": NAN}, "temperature: found nan"),
        ({"temperature": INF}, "temperature: found inf"),
        ({"top_k": 0}, "top_k: found 0, allowed: 1 or more"),
        ({"top_k": -1}, "top_k: found -1"),
        ({"top_p": 0.0}, "top_p: found 0.0, allowed: more than 0, up to 1"),
        ({"top_p": 1.5}, "top_p: found 1.5"),
        ({"top_p": NAN}, "top_p: found nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ops.sample(tensor([[1.0, 2.0]]), tensor([1], "int32"), **settings)


def test_the_benchmark_has_everybody_choose() -> None:
    """The one that docs/explanation/performance.md names, on a small vocabulary."""
    command = [sys.executable, str(BENCHMARK), "--vocab-size", "50", "--rounds", "1", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 5
    assert all(times["reference"] > 0 for times in found.values())


def test_chances_that_fit_no_logits_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"sample: chance has shape \(3,\), expected \(2,\)"):
        ops.sample(tensor([[1.0], [2.0]]), tensor([1, 2, 3], "int32"))
