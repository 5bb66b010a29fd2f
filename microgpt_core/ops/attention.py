"""Causal self-attention with heads packed in the last axis. Vaswani et al. 2017, arXiv:1706.03762.

For each head, with rows q_t, k_s, v_s of width D and a = 1 / sqrt(D), over the s that t may see:

    p_ts  = exp(a q_t . k_s - lse_t)        lse_t = log sum_s exp(a q_t . k_s)        out_t = sum_s p_ts v_s

Backward keeps only the log-sum-exp and computes the p again (Dao et al. 2022, arXiv:2205.14135). With
d_t, the gradient of out_t:

    d_v_s = sum_t p_ts d_t                  e_ts  = a p_ts (d_t . v_s - sum_r p_tr d_t . v_r)
    d_q_t = sum_s e_ts k_s                  d_k_s = sum_t e_ts q_t

Who sees whom: without `positions`, t sees every s <= t. With `positions` (B, T), row t belongs to the
document that began positions[t] rows earlier and sees nothing before it. With `start` (B,), q's first
row stands at row start[b] of k and v: that is how one new token attends to a cache.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from math import log

from microgpt_core.components import Buffer, Op, Shape, accumulate, columns, dot, exp, flat, products, rows, write
from microgpt_core.components.op import Cost, Shapes, show_shape
from microgpt_core.errors import DataError, ShapeError


class Attention(Op):
    integers = ("positions", "start")

    def shapes(
        self, q: Shape, k: Shape, v: Shape, positions: Shape | None = None, start: Shape | None = None, *, n_head: int
    ) -> Shapes:
        self.expect("q", q, ("B", "T", "C"))
        self.expect("k", k, (q[0], "S", q[2]))
        self.expect("v", v, k)
        self.expect("positions", positions, q[:2])
        self.expect("start", start, q[:1])
        if n_head < 1 or q[2] % n_head:
            raise ShapeError(f"attention: q has shape {show_shape(q)}; {q[2]} must be divisible by n_head = {n_head}")
        if start is None and k[1] != q[1]:
            raise ShapeError(f"attention: k has {k[1]} rows and q {q[1]}, which needs start: the row where q begins")
        return {"out": q, "lse": (*q[:2], n_head)}

    def forward(
        self, out: Buffer, lse: Buffer, q: Buffer, k: Buffer, v: Buffer, positions: Buffer | None, start: Buffer | None,
        *, n_head: int,
    ) -> None:  # fmt: skip
        # out, q (B, T, C), k, v (B, S, C), lse (B, T, n_head), positions (B, T), start (B,)
        scale = (q.shape[2] // n_head) ** -0.5
        q_rows, k_rows, v_rows = rows(q).tolist(), rows(k).tolist(), rows(v).tolist()
        out_rows: list[list[float]] = [[] for _ in q_rows]
        lse_rows: list[list[float]] = [[] for _ in q_rows]
        for queries, keys in documents(q, k, positions, start):
            past = (keys.stop - keys.start) - (queries.stop - queries.start)
            for query, key, value in zip(*[heads(x, n_head) for x in (q_rows[queries], k_rows[keys], v_rows[keys])]):
                value_columns = columns(value)
                for seen, (t, q_t) in enumerate(enumerate(query, queries.start), past + 1):
                    scores = [scale * s for s in products([q_t], key[:seen])]
                    top = max(scores)
                    powers = [exp(s - top) for s in scores]
                    total = sum(powers)
                    out_rows[t] += [dot(powers, column[:seen]) / total for column in value_columns]
                    lse_rows[t].append(top + log(total))
        write(out, list(chain.from_iterable(out_rows)))
        write(lse, list(chain.from_iterable(lse_rows)))

    def backward(
        self, d_q: Buffer | None, d_k: Buffer | None, d_v: Buffer | None, d_out: Buffer, lse: Buffer,
        q: Buffer, k: Buffer, v: Buffer, positions: Buffer | None, start: Buffer | None, *, n_head: int,
    ) -> None:  # fmt: skip
        scale = (q.shape[2] // n_head) ** -0.5
        q_rows, k_rows, v_rows, d_rows, lse_rows = (rows(x).tolist() for x in (q, k, v, d_out, lse))
        for queries, keys in documents(q, k, positions, start):
            past = (keys.stop - keys.start) - (queries.stop - queries.start)
            parts = (q_rows[queries], k_rows[keys], v_rows[keys], d_rows[queries], lse_rows[queries])
            gradients = []  # of q, k and v, for each head
            for query, key, value, d, lse_head in zip(*[heads(part, n_head) for part in parts]):
                weights, errors = [], []  # p and e: a row for each query, a number for each key
                for seen, (q_t, d_t, (lse_t,)) in enumerate(zip(query, d, lse_head), past + 1):
                    p = [exp(scale * s - lse_t) for s in products([q_t], key[:seen])]
                    d_p = products([d_t], value[:seen])
                    mean, unseen = dot(p, d_p), [0.0] * (len(key) - seen)
                    weights.append(p + unseen)
                    errors.append([scale * w * (g - mean) for w, g in zip(p, d_p)] + unseen)
                d_query = products(errors, columns(key))
                d_key = products(columns(errors), columns(query))
                gradients.append((d_query, d_key, products(columns(weights), columns(d))))
            for d_x, where, by_head in zip((d_q, d_k, d_v), (queries, keys, keys), zip(*gradients)):
                if d_x is not None:
                    add_heads(d_x, where, by_head)

    def cost(self, q: Shape, k: Shape, v: Shape, positions: Shape | None, start: Shape | None, *, n_head: int) -> Cost:
        """With P = B (T (T + 1) / 2 + T (S - T)) pairs of query and key: forward 4 P C + 4 P n_head, backward
        10 P C + 7 P n_head, as if no document ended inside a row."""
        pairs = q[0] * (q[1] * (q[1] + 1) // 2 + q[1] * (k[1] - q[1]))
        return {"forward": pairs * (4 * q[2] + 4 * n_head), "backward": pairs * (10 * q[2] + 7 * n_head)}


def documents(q: Buffer, k: Buffer, positions: Buffer | None, start: Buffer | None) -> Iterator[tuple[slice, slice]]:
    """For each run of queries that see from the same row on: their rows and those rows' keys, batch flattened."""
    length, room = q.shape[1], k.shape[1]
    for b, at in enumerate(start if start is not None else [0] * q.shape[0]):
        if not 0 <= at <= room - length:
            raise DataError(f"attention: sequence {b} starts at row {at} (allowed: 0 to {room - length})")
        known = rows(positions)[b] if positions is not None else range(at, at + length)
        for t, position in enumerate(known):
            if not 0 <= position <= at + t:
                raise DataError(f"attention: position {position} at index {t} of sequence {b} (allowed: 0 to {at + t})")
        t = 0
        for first, run in groupby(at + t - position for t, position in enumerate(known)):
            n = len(list(run))
            yield slice(b * length + t, b * length + t + n), slice(b * room + first, b * room + at + t + n)
            t += n


def heads(part: Sequence[list[float]], n_head: int) -> list[list[list[float]]]:
    """The rows of each head: the last axis cut into n_head pieces."""
    width = len(part[0]) // n_head
    return [[row[low : low + width] for row in part] for low in range(0, n_head * width, width)]


def add_heads(d_x: Buffer, where: slice, by_head: Sequence[list[float]]) -> None:
    """Add each head's numbers into its piece of the rows `where` of d_x."""
    n, channels = where.stop - where.start, d_x.shape[2]
    width = channels // len(by_head)
    values = [v for low in range(0, n * width, width) for head in by_head for v in head[low : low + width]]
    accumulate(flat(d_x)[where.start * channels : where.stop * channels], values)
