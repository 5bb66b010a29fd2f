"""Which token comes next: from logits to probabilities to a choice."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import compress
from math import exp, inf, isfinite, log
from random import Random

from microgpt_core.errors import NonFiniteError, require


@dataclass(frozen=True)
class Sampling:
    """How a text goes on: how bold each choice is and among how many (see `probabilities`), and for how long."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None  # until it ends by itself, or the block is full

    def __post_init__(self) -> None:
        require(isfinite(self.temperature) and self.temperature >= 0, "temperature", self.temperature, "0 or more")
        require(self.top_k is None or self.top_k >= 1, "top_k", self.top_k, "1 or more")
        require(self.top_p is None or 0 < self.top_p <= 1, "top_p", self.top_p, "more than 0, up to 1")
        limit = self.max_new_tokens
        require(limit is None or limit >= 0, "max_new_tokens", limit, "0 or more")

    def probabilities(self, logits: Sequence[float]) -> list[float]:
        """softmax(logits / temperature), over the `top_k` likeliest tokens, then over the fewest that hold `top_p`.

        Temperature 0 gives all to the likeliest token (the first of equals). A token as likely as the last one
        kept by `top_k` stays out if it comes later, so that exactly k remain. Raises NonFiniteError for a NaN.
        """
        top = max(logits)
        # max overlooks a NaN that comes later. A sum doesn't, and is fast; -inf, which is allowed, spoils it as well
        if not (isfinite(top) and (isfinite(sum(logits)) or all(z <= top for z in logits))):
            raise NonFiniteError(
                "the model's logits aren't finite numbers, so no token can be chosen: damaged weights?"
            )
        if self.temperature == 0.0:
            return shares([1.0] * len(logits), [list(logits).index(top)])
        least = -inf if self.top_k is None else least_of_top(self.top_k, logits)
        powers = [exp((z - top) / self.temperature) if z >= least else 0.0 for z in logits]
        if self.top_k is None and self.top_p is None:
            total = sum(powers)
            return [power / total for power in powers]
        likely = list(compress(range(len(powers)), powers))
        if self.top_k is not None:
            likely = sorted(likely, key=powers.__getitem__, reverse=True)[: self.top_k]
        return shares(powers, likely if self.top_p is None else nucleus(likely, powers, self.top_p))


def least_of_top(k: int, logits: Sequence[float]) -> float:
    """The k-th largest. Most lie below that of the first few, and are only compared with it."""
    floor = nlargest(k, logits[: 32 * k])[-1]
    return nlargest(k, [z for z in logits if z >= floor])[-1]


def shares(powers: Sequence[float], kept: Sequence[int]) -> list[float]:
    """What each of the `kept` has of them all; the others get nothing."""
    total = sum([powers[i] for i in kept])
    result = [0.0] * len(powers)
    for i in kept:
        result[i] = powers[i] / total
    return result


def nucleus(likely: Sequence[int], powers: Sequence[float], top_p: float) -> list[int]:
    """The fewest of the likeliest tokens whose powers add up to `top_p` of what all have. arXiv:1904.09751."""
    total, mass, kept = sum([powers[i] for i in likely]), 0.0, []
    cut = (1 - top_p) * total / len(likely)  # all tokens below it together have less than may be left out
    for i in sorted([i for i in likely if powers[i] >= cut], key=powers.__getitem__, reverse=True):
        kept.append(i)
        mass += powers[i]
        if mass >= top_p * total:
            break
    return kept


def log_probability(logits: Sequence[float], token: int) -> float:
    """ln of what the model itself gives a token: softmax(logits), without temperature and cuts."""
    top = max(logits)
    return logits[token] - top - log(sum([exp(z - top) for z in logits]))


def sample_rng(seed: int | None, sample: int) -> Random:
    """The random stream of one sample of many, whichever are drawn beside it."""
    return Random() if seed is None else Random(f"{seed}/{sample}")


def choose(probabilities: Sequence[float], rng: Random) -> int:
    """An id drawn with these probabilities: one number from `rng`, always."""
    possible = list(compress(range(len(probabilities)), probabilities))  # rounding can't reach the others
    return rng.choices(possible, list(filter(None, probabilities)))[0]
