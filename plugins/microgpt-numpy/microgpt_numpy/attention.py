"""Attention: heads are axes of views, so that each product is one call for all of them.

Every array is seen as (B, heads of k, heads of q that share one, rows, numbers). What a row doesn't see has the score
-inf, and so the power 0. Where infinity or NaN stands there, 0 times it isn't 0, and the result shows it: such a run is
left to the reference, which never looks at what isn't seen.
"""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from microgpt_core import ops
from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, reference
from microgpt_numpy.scores import Scores, Sight, pieces


class Attention(ArrayKernel):
    sets = ("d_q", "d_k", "d_v")

    def forward(
        self, out: Array, lse: Array, q: Array, k: Array, v: Array, positions: Array | None, start: Array | None,
        *, n_head: int, window: int | None, scratch: Scratch,
    ) -> Run:  # fmt: skip
        slowly = reference(ops.attention.forward, out, lse, q, k, v, positions, start, n_head=n_head, window=window)
        sight, n_kv_head = Sight(q, k, positions, start, window, scratch), k.shape[2] * n_head // q.shape[2]
        of_queries = [by_head(x, n_kv_head, n_head // n_kv_head) for x in (out, lse, q)]
        of_keys = [by_head(x, n_kv_head, 1) for x in (k, v)]

        def prepare(b: slice, t: slice, s: slice) -> Run:
            out, lse, q = (x[b, ..., t, :] for x in of_queries)
            k, v = (x[b, ..., s, :] for x in of_keys)
            scores, total = Scores(q, k, sight, (b, t, s), scratch), scratch.like(lse)
            p, ones = scores.p, np.ones((v.shape[-2], 1), v.dtype)

            def run() -> None:
                scores.compute()
                np.maximum.reduce(p, axis=-1, keepdims=True, out=lse)
                np.subtract(p, lse, out=p)
                np.exp(p, out=p)
                np.matmul(p, ones, out=total)  # their sums, in a seventh of the time of np.add.reduce
                np.matmul(p, v, out=out)
                np.divide(out, total, out=out)
                np.log(total, out=total)
                np.add(lse, total, out=lse)

            return run

        parts, flat = scratch.in_turn(prepare, pieces(q, k, start, n_head, window)), out.reshape(-1)

        def run() -> None:
            if sight.read():
                parts()
                if finite(flat):
                    return
            slowly()  # or raises DataError

        return run

    def backward(
        self, d_q: Array | None, d_k: Array | None, d_v: Array | None, d_out: Array, out: Array, lse: Array,
        q: Array, k: Array, v: Array, positions: Array | None, start: Array | None,
        *, n_head: int, window: int | None, scratch: Scratch,
    ) -> Run:  # fmt: skip
        made = [scratch.like(x) if d is None else d for d, x in ((d_q, q), (d_k, k), (d_v, v))]
        given = (*made, d_out, out, lse, q, k, v, positions, start)
        slowly = reference(ops.attention.backward, *given, n_head=n_head, window=window)
        sight, n_kv_head = Sight(q, k, positions, start, window, scratch), k.shape[2] * n_head // q.shape[2]
        of_queries = [by_head(x, n_kv_head, n_head // n_kv_head) for x in (made[0], d_out, out, lse, q)]
        of_keys = [by_head(x, n_kv_head, 1) for x in (made[1], made[2], k, v)]

        def prepare(b: slice, t: slice, s: slice) -> Run:
            d_q, d, out, lse, q = (x[b, ..., t, :] for x in of_queries)
            d_k, d_v, k, v = (x[b, ..., s, :] for x in of_keys)
            scores, mean = Scores(q, k, sight, (b, t, s), scratch), scratch.like(lse)
            p, e, part = scores.p, scratch.like(scores.p), scratch.array((*q.shape[:3], *k.shape[3:]), q.dtype)
            p_across, e_across, v_across = (x.swapaxes(-1, -2) for x in (p, e, v))
            means, shares = mean[..., 0], [part[:, :, i : i + 1] for i in range(q.shape[2])]

            def run() -> None:
                scores.compute()
                np.subtract(p, lse, out=p)
                np.exp(p, out=p)
                np.matmul(p_across, d, out=part)
                for share in shares:
                    np.add(d_v, share, out=d_v)
                np.matmul(d, v_across, out=e)
                np.vecdot(d, out, out=means)
                np.subtract(e, mean, out=e)
                np.multiply(e, p, out=e)
                np.matmul(e, k, out=d_q)
                np.multiply(d_q, scores.scale, out=d_q)
                np.matmul(e_across, scores.scaled, out=part)
                for share in shares:
                    np.add(d_k, share, out=d_k)

            return run

        parts, flats = scratch.in_turn(prepare, pieces(q, k, start, n_head, window)), [x.reshape(-1) for x in made]

        def run() -> None:
            clear(flats)
            if sight.read():
                parts()
                if all(map(finite, flats)):
                    return
                clear(flats)
            slowly()

        return run


def by_head(x: Array, n_kv_head: int, n_shared: int) -> Array:
    """x (B, T, C) as (B, n_kv_head, n_shared, T, C / n_kv_head / n_shared)."""
    return x.reshape(*x.shape[:2], n_kv_head, n_shared, -1).transpose(0, 2, 3, 1, 4)


def clear(arrays: Sequence[Array]) -> None:
    for x in arrays:
        x.fill(0.0)


def finite(flat: Array) -> bool:
    """Whether no number is infinite or NaN, by the sum of their squares."""
    return isfinite(np.dot(flat, flat))
