"""Sample: draw the token that comes next.

    p_i = exp(z_i / temperature) / sum_j exp(z_j / temperature)      over what is kept; 0 for the others
    token = the first i with p_0 + ... + p_i > chance / 2^31         logprob = z_token - log sum_j exp(z_j)

Kept are the `top_k` likeliest tokens (Fan et al. 2018, arXiv:1805.04833), and of these the fewest that hold `top_p` of
what they all have (Holtzman et al. 2020, arXiv:1904.09751); of equals those that come first. Temperature 0 keeps the
likeliest alone. `probability` is that of the choice, `logprob` is the model's own, without temperature and cuts.

Where a logit is NaN or infinity, or all are minus infinity, there is no choice: the token is -1, the others are NaN.
"""

from bisect import bisect, bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import exp, inf, isfinite, log, nan, prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, flat, rows
from microgpt_core.errors import require


class Sample(Op):
    integers = ("chance",)

    def shapes(
        self, logits: Shape, chance: Shape, *,
        temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
    ) -> Shapes:  # fmt: skip
        self.expect("chance", chance, logits[:-1])
        require(0 <= temperature < inf, "temperature", temperature, "0 or more")
        require(top_k is None or top_k >= 1, "top_k", top_k, "1 or more")
        require(top_p is None or 0 < top_p <= 1, "top_p", top_p, "more than 0, up to 1")
        return {"token": ("i", chance), "probability": chance, "logprob": chance}

    def forward(
        self, token: Buffer, probability: Buffer, logprob: Buffer, logits: Buffer, chance: Buffer, *,
        temperature: float, top_k: int | None, top_p: float | None,
    ) -> None:  # logits (..., V), all others (...); chances from 0 to 2^31 - 1  # fmt: skip
        for i, (row, number) in enumerate(zip(rows(logits).tolist(), flat(chance))):
            top = max(row)
            surprise = log(sum([exp(z - top) for z in row]))  # of the likeliest token, in nats
            choice = -1, nan, nan
            if isfinite(surprise):
                p = probabilities(row, temperature, top_k, top_p)
                j = choose(p, number / 2**31)
                choice = j, p[j], row[j] - top - surprise
            flat(token)[i], flat(probability)[i], flat(logprob)[i] = choice

    def cost(self, logits: Shape, chance: Shape, **attributes: object) -> Cost:
        """Per logit: subtract, exp, add; divide, subtract, exp, add."""
        return {"forward": 7 * prod(logits)}


def probabilities(logits: Sequence[float], temperature: float, top_k: int | None, top_p: float | None) -> list[float]:
    """softmax(logits / temperature), over the `top_k` likeliest tokens, then over the fewest that hold `top_p`."""
    if temperature == 0.0:
        temperature, top_k, top_p = 1.0, 1, None
    top = max(logits)
    powers = [exp((z - top) / temperature) for z in logits]
    kept: Sequence[int] = range(len(powers))
    if top_k is not None or top_p is not None:
        kept = sorted(kept, key=logits.__getitem__, reverse=True)[:top_k]
    if top_p is not None:
        mass = list(accumulate([powers[i] for i in kept]))
        kept = kept[: 1 + bisect_left(mass, top_p * mass[-1])]
    total, result = sum([powers[i] for i in kept]), [0.0] * len(powers)
    for i in kept:
        result[i] = powers[i] / total
    return result


def choose(probabilities: Sequence[float], chance: float) -> int:
    """The first id at which the probabilities add up to more than `chance`, which is from 0 to 1."""
    sums = list(accumulate(probabilities))
    return bisect(sums, chance * sums[-1], hi=bisect_left(sums, sums[-1]))  # rounding can't reach what is impossible
