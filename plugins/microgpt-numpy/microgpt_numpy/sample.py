"""Sample: a token for each row of logits. Numbers are sorted, not tokens: what is kept is known by its least logit."""

from math import isfinite, log, nan

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, rows


class Sample(ArrayKernel):
    def forward(
        self, token: Array, probability: Array, logprob: Array, logits: Array, chance: Array,
        *, temperature: float, top_k: int | None, top_p: float | None, scratch: Scratch,
    ) -> Run:  # fmt: skip
        if temperature == 0.0:
            temperature, top_k, top_p = 1.0, 1, None
        width, known = logits.shape[-1], np.finfo(logits.dtype)
        heat = min(max(temperature, float(known.tiny)), float(known.max))  # a number in this precision, too
        k = min(top_k or width, width)
        some = k < width or top_p is not None
        powers, ordered = (scratch.array((width,), logits.dtype) for _ in range(2))
        sums, counts = scratch.array((width,), np.float64), scratch.array((width,), np.int64)
        out, equal = (scratch.array((width,), np.bool_) for _ in range(2))
        flat = [x.reshape(-1) for x in (token, probability, logprob)]

        def exponentials(z: Array, top: float, heat: float) -> Array:
            result = powers[: len(z)]
            np.subtract(z, top, out=result)
            np.divide(result, heat, out=result)
            return np.exp(result, out=result)

        def find_out(z: Array, top: float) -> None:
            """Which tokens `top_k` and `top_p` leave out; of equals those that come last."""
            ordered[:] = z
            ordered.sort()
            likeliest, n = ordered[::-1][:k], k
            if top_p is not None:
                mass = np.cumsum(exponentials(likeliest, top, heat), dtype=np.float64, out=sums[:k])
                n = min(k, 1 + int(np.searchsorted(mass, top_p * mass[-1])))
            least = likeliest[n - 1]
            room = n - (width - int(np.searchsorted(ordered, least, side="right")))
            np.equal(z, least, out=equal)
            np.cumsum(equal, out=counts)
            np.greater(counts, room, out=out)
            np.logical_and(equal, out, out=out)
            np.less(z, least, out=equal)
            np.logical_or(equal, out, out=out)

        def run() -> None:
            for i, (z, number) in enumerate(zip(rows(logits), chance.reshape(-1).tolist())):
                top = float(np.maximum.reduce(z))
                surprise = log(np.add.reduce(exponentials(z, top, 1.0), dtype=np.float64))
                choice = -1, nan, nan
                if isfinite(surprise):
                    if some:
                        find_out(z, top)
                    exponentials(z, top, heat)
                    if some:
                        np.copyto(powers, 0.0, where=out)
                    np.cumsum(powers, dtype=np.float64, out=sums)
                    total = sums[-1]
                    j = min(np.searchsorted(sums, number / 2**31 * total, side="right"), np.searchsorted(sums, total))
                    choice = int(j), float(powers[j] / total), float(z[j]) - top - surprise
                for x, value in zip(flat, choice):
                    x[i] = value

        return run
