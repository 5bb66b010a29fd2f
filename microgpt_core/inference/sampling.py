"""Which token comes next: from logits to probabilities to a choice."""

from collections.abc import Sequence
from math import exp
from random import Random

from microgpt_core.errors import NonFiniteError


def probabilities(
    logits: Sequence[float], temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> list[float]:
    """softmax(logits / temperature), over the `top_k` likeliest tokens, then over the fewest that hold `top_p`.

    Temperature 0 gives all to the likeliest token (the first of equals). A token as likely as the last one
    kept by `top_k` stays out if it comes later, so that exactly k remain. Raises NonFiniteError for a NaN.
    """
    if any(z != z for z in logits):
        raise NonFiniteError("the model's logits aren't numbers (NaN); its weights are damaged")
    top = max(logits)
    if temperature == 0.0:
        best = list(logits).index(top)
        return [1.0 if i == best else 0.0 for i in range(len(logits))]
    powers = [exp((z - top) / temperature) for z in logits]
    total = sum(powers)
    shares = [p / total for p in powers]
    if top_k is None and top_p is None:
        return shares
    order = sorted(range(len(shares)), key=lambda i: -shares[i])[:top_k]
    kept = nucleus(order, shares, top_p) if top_p is not None else order
    rest = sum(shares[i] for i in kept)
    result = [0.0] * len(shares)
    for i in kept:
        result[i] = shares[i] / rest
    return result


def nucleus(order: Sequence[int], shares: Sequence[float], top_p: float) -> list[int]:
    """The fewest of the likeliest tokens whose shares add up to `top_p` of all in `order`. arXiv:1904.09751."""
    whole, mass, kept = sum(shares[i] for i in order), 0.0, []
    for i in order:
        kept.append(i)
        mass += shares[i]
        if mass >= top_p * whole:
            break
    return kept


def choose(shares: Sequence[float], rng: Random) -> int:
    """An id drawn with these probabilities; one number from `rng`, unless only one id is possible."""
    if 1.0 in shares:
        return list(shares).index(1.0)
    return rng.choices(range(len(shares)), weights=shares)[0]
