"""From logits to a choice: temperature, top-k, top-p, ties, and numbers that aren't numbers."""

import math
import random
from collections import Counter
from itertools import accumulate

import pytest

from microgpt_core.errors import ConfigurationError, NonFiniteError
from microgpt_core.inference.sampling import Sampling, choose, log_probability, sample_rng

NAN, INF = math.nan, math.inf


def random_logits(seed: int, n: int = 20) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0.0, 2.0) for _ in range(n)]


def softmax(logits: list[float], temperature: float = 1.0) -> list[float]:
    powers = [math.exp(z / temperature) for z in logits]
    return [p / math.fsum(powers) for p in powers]


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 3.0])
def test_temperature_divides_the_logits(temperature: float) -> None:
    logits = random_logits(1)
    assert Sampling(temperature).probabilities(logits) == pytest.approx(softmax(logits, temperature), rel=1e-12)


def test_temperature_0_takes_the_likeliest_and_the_first_of_equals() -> None:
    assert Sampling(0).probabilities([1.0, 3.0, 3.0, 2.0]) == [0.0, 1.0, 0.0, 0.0]
    assert Sampling(0, top_k=1, top_p=0.1).probabilities([7.0, 7.0]) == [1.0, 0.0]
    assert {choose(Sampling(0).probabilities([5.0] * 9), random.Random(i)) for i in range(50)} == {0}


@pytest.mark.parametrize("temperature", [1e-300, 5e-324, 1e-8])
def test_a_temperature_near_0_is_greedy_without_overflow(temperature: float) -> None:
    assert Sampling(temperature).probabilities([1.0, 3.0, -1e300, 2.0]) == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("logits", [[1e308, -1e308], [1e308, 1e308], [-1e308, -1e308], [0.0, -INF], [3.0, -INF, 3.0]])
def test_extreme_logits_give_probabilities(logits: list[float]) -> None:
    shares = Sampling().probabilities(logits)
    assert math.fsum(shares) == 1.0
    assert all(p == 0.0 for p, z in zip(shares, logits) if z == -INF)


@pytest.mark.parametrize(
    "logits", [[NAN, 1.0], [1.0, NAN], [1.0, NAN, 2.0], [INF, 1.0], [-INF, -INF], [NAN], [INF, NAN]]
)
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0), Sampling(0.5, top_k=1), Sampling(top_p=0.5)])
def test_logits_that_allow_no_choice_are_an_error(logits: list[float], sampling: Sampling) -> None:
    with pytest.raises(NonFiniteError, match="aren't finite numbers, so no token can be chosen") as caught:
        sampling.probabilities(logits)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("k", [1, 2, 7, 20, 99])
def test_only_k_ids_are_ever_drawn(k: int) -> None:
    logits = random_logits(2)
    likeliest = sorted(range(20), key=lambda i: -logits[i])[:k]
    rng, sampling = random.Random(4), Sampling(2.0, top_k=k)
    shares = sampling.probabilities(logits)
    drawn = {choose(shares, rng) for _ in range(5000)}
    assert drawn <= set(likeliest)
    assert len(drawn) == min(k, 20)
    expected = softmax([logits[i] for i in likeliest], 2.0)
    assert [shares[i] for i in likeliest] == pytest.approx(expected, rel=1e-12)


def test_top_k_keeps_exactly_k_of_equals() -> None:
    assert Sampling(top_k=2).probabilities([1.0, 1.0, 1.0, 1.0]) == [0.5, 0.5, 0.0, 0.0]
    assert Sampling(top_k=2).probabilities([0.0, 1.0, 1.0, 1.0]) == [0.0, 0.5, 0.5, 0.0]


@pytest.mark.parametrize("top_p", [0.01, 0.3, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_top_p_keeps_the_fewest_that_hold_the_mass(top_p: float, seed: int) -> None:
    logits = random_logits(seed)
    whole = softmax(logits)
    shares = Sampling(top_p=top_p).probabilities(logits)
    kept = [i for i, p in enumerate(shares) if p > 0]
    mass = math.fsum(whole[i] for i in kept)
    least = min(kept, key=lambda i: whole[i])
    assert mass >= top_p - 1e-12
    assert mass - whole[least] < top_p
    assert all(whole[i] >= whole[least] for i in kept)
    assert [shares[i] for i in kept] == pytest.approx([whole[i] / mass for i in kept], rel=1e-12)


def test_top_p_is_of_what_top_k_left() -> None:
    logits = [math.log(p) for p in (0.4, 0.3, 0.2, 0.1)]
    shares = Sampling(top_k=2, top_p=0.5).probabilities(logits)  # of 0.4 / 0.7 and 0.3 / 0.7
    assert shares == [1.0, 0.0, 0.0, 0.0]
    assert Sampling(top_p=0.5).probabilities(logits) == pytest.approx([4 / 7, 3 / 7, 0.0, 0.0])


@pytest.mark.parametrize("order", ["random", "rising", "falling", "with equals"])
@pytest.mark.parametrize("top_p", [None, 0.001, 0.5, 0.97])
@pytest.mark.parametrize("top_k", [None, 1, 7, 300, 5000])
def test_of_thousands_the_same_are_kept_as_by_sorting_them_all(
    top_k: int | None, top_p: float | None, order: str
) -> None:
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
    shares = Sampling(top_k=top_k, top_p=top_p).probabilities(logits)
    assert [i for i, share in enumerate(shares) if share] == sorted(kept)
    assert math.fsum(shares) == pytest.approx(1.0)


def test_choices_have_their_probabilities() -> None:
    rng, shares = random.Random(6), [0.5, 0.0, 0.3, 0.2]
    counts = Counter(choose(shares, rng) for _ in range(20_000))
    assert counts[1] == 0
    for i, p in enumerate(shares):
        assert abs(counts[i] / 20_000 - p) < 0.015


@pytest.mark.parametrize("shares", [[0.25] * 4, [1.0, 0.0], [0.0, 0.0, 1.0], [1e-300, 1.0]])
def test_a_choice_takes_one_number_from_the_stream(shares: list[float]) -> None:
    """So that samples stay in step with a program that draws every token, even one that is certain."""
    rng, other = random.Random(8), random.Random(8)
    choose(shares, rng)
    other.random()
    assert rng.getstate() == other.getstate()


class Edge(random.Random):
    """The largest number below 1 that a generator gives."""

    def random(self) -> float:
        return 1.0 - 2**-53


def test_rounding_never_reaches_an_impossible_id() -> None:
    third = Sampling(top_k=3).probabilities([0.0] * 12)
    assert choose(third, Edge()) == 2
    assert choose([0.1] * 10 + [0.0] * 5, Edge()) == 9


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": -0.1}, "temperature: found -0.1"),
        ({"temperature": NAN}, "temperature: found nan"),
        ({"temperature": INF}, "temperature: found inf"),
        ({"top_k": 0}, "top_k: found 0, allowed: 1 or more"),
        ({"top_k": -3}, "top_k: found -3"),
        ({"top_p": 0.0}, "top_p: found 0.0"),
        ({"top_p": 1.1}, "top_p: found 1.1"),
        ({"top_p": NAN}, "top_p: found nan"),
        ({"max_new_tokens": -1}, "max_new_tokens: found -1, allowed: 0 or more"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Sampling(**fields)


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_log_probabilities_are_those_of_the_softmax(shift: float) -> None:
    logits = [1.0 + shift, 3.0 + shift, -700.0 + shift]
    found = [log_probability(logits, token) for token in range(3)]
    assert found[:2] == pytest.approx([math.log(p) for p in softmax([1.0, 3.0, -700.0])[:2]], rel=1e-10)
    assert found[2] == pytest.approx(found[1] - 703.0, rel=1e-12)


def test_every_sample_has_a_stream_of_its_own() -> None:
    first = [sample_rng(1, i).random() for i in range(50)]
    assert first == [sample_rng(1, i).random() for i in range(50)]
    assert len({*first, *(sample_rng(2, i).random() for i in range(50)), *(sample_rng(None, 0).random(),)}) == 101
