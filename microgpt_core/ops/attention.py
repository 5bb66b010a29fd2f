"""Causal self-attention with heads packed in the last axis. Vaswani et al. 2017, arXiv:1706.03762.

For each head, with rows q_t, k_s, v_s of width D and a = 1 / sqrt(D), over the s that t may see:

    p_ts  = exp(a q_t . k_s - lse_t)        lse_t = log sum_s exp(a q_t . k_s)        out_t = sum_s p_ts v_s

It is done tile by tile of keys, so that no table of T x T numbers is ever made (Dao et al. 2022,
arXiv:2205.14135). Of the keys so far a query keeps the highest score m, the sum l and the unfinished output o;
a tile whose highest score is n, and its sums with it, comes in by

    m' = max(m, n)      l' = l exp(m - m') + l_tile exp(n - m')      o' = o exp(m - m') + o_tile exp(n - m')

and at the end out = o / l, lse = m + log l. Only lse is saved: backward computes the p of a tile again. With
d_t, the gradient of out_t:

    d_v_s = sum_t p_ts d_t                  e_ts  = a p_ts (d_t . v_s - d_t . out_t)
    d_q_t = sum_s e_ts k_s                  d_k_s = sum_t e_ts q_t

Who sees whom: without `positions`, t sees every s <= t. With `positions` (B, T), row t belongs to the
document that began positions[t] rows earlier and sees nothing before it. With `start` (B,), q's first
row stands at row start[b] of k and v: that is how one new token attends to a cache. With `window`, t sees the
last `window` rows at most, its own among them (arXiv:2004.05150). Where k and v have fewer heads than q, each
serves as many neighbouring heads of q (arXiv:2305.13245).
"""

from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from math import inf, log
from operator import add

from microgpt_core.components import Buffer, Op, Shape, accumulate, columns, dot, exp, flat, products, rows, write
from microgpt_core.components.op import Cost, Shapes, show_shape
from microgpt_core.errors import DataError, ShapeError

TILE = 64  # keys looked at together: their scores, as Python objects, fit a core's first cache

Matrix = list[list[float]]


class Attention(Op):
    integers = ("positions", "start")

    def shapes(
        self, q: Shape, k: Shape, v: Shape, positions: Shape | None = None, start: Shape | None = None,
        *, n_head: int, window: int | None = None,
    ) -> Shapes:  # fmt: skip
        self.expect("q", q, ("B", "T", "C"))
        if n_head < 1 or q[2] % n_head:
            raise ShapeError(f"attention: q has shape {show_shape(q)}; {q[2]} must be divisible by n_head = {n_head}")
        self.expect("k", k, (q[0], "S", "C of k"))
        self.expect("v", v, k)
        self.expect("positions", positions, q[:2])
        self.expect("start", start, q[:1])
        width = q[2] // n_head
        if k[2] % width or n_head % (k[2] // width):
            allowed = ", ".join(str(n * width) for n in range(1, n_head + 1) if n_head % n == 0)
            raise ShapeError(f"attention: k is {k[2]} wide, allowed beside {n_head} heads of {width} in q: {allowed}")
        if start is None and k[1] != q[1]:
            raise ShapeError(f"attention: k has {k[1]} rows and q {q[1]}, which needs start: the row where q begins")
        if window is not None and window < 1:
            raise ShapeError(f"attention: window is {window}, allowed: 1 or more, or None")
        return {"out": q, "lse": (*q[:2], n_head)}

    def forward(
        self, out: Buffer, lse: Buffer, q: Buffer, k: Buffer, v: Buffer, positions: Buffer | None, start: Buffer | None,
        *, n_head: int, window: int | None,
    ) -> None:  # fmt: skip
        # out, q (B, T, C), k, v (B, S, C of k), lse (B, T, n_head), positions (B, T), start (B,)
        width = q.shape[2] // n_head
        scale, group = width**-0.5, n_head * width // k.shape[2]
        q_rows, k_rows, v_rows = rows(q).tolist(), rows(k).tolist(), rows(v).tolist()
        out_rows: Matrix = [[] for _ in q_rows]
        lse_rows: Matrix = [[] for _ in q_rows]
        for queries, keys in documents(q, k, positions, start):
            past = (keys.stop - keys.start) - (queries.stop - queries.start)
            key_heads, value_heads = heads(k_rows[keys], width), heads(v_rows[keys], width)
            for head, query in enumerate(heads(q_rows[queries], width)):
                key, value = key_heads[head // group], value_heads[head // group]
                tiles = [
                    (low, key[low : low + TILE], columns(value[low : low + TILE])) for low in range(0, len(key), TILE)
                ]
                for seen, (t, q_t) in enumerate(enumerate(query, queries.start), past + 1):
                    first = first_seen(seen, window)
                    top, total, sums = -inf, 0.0, [0.0] * width
                    for at, tile, value_columns in tiles[first // TILE : (seen - 1) // TILE + 1]:
                        here = slice(max(0, first - at), seen - at)
                        scores = [scale * s for s in products([q_t], tile[here])]
                        before, top = top, max(top, *scores)
                        fade = exp(before - top)
                        powers = [exp(s - top) for s in scores]
                        total = total * fade + sum(powers)
                        sums = [o * fade + dot(powers, column[here]) for o, column in zip(sums, value_columns)]
                    out_rows[t] += [o / total for o in sums]
                    lse_rows[t].append(top + log(total))
        write(out, list(chain.from_iterable(out_rows)))
        write(lse, list(chain.from_iterable(lse_rows)))

    def backward(
        self, d_q: Buffer | None, d_k: Buffer | None, d_v: Buffer | None, d_out: Buffer, out: Buffer, lse: Buffer,
        q: Buffer, k: Buffer, v: Buffer, positions: Buffer | None, start: Buffer | None,
        *, n_head: int, window: int | None,
    ) -> None:  # fmt: skip
        width = q.shape[2] // n_head
        scale, group = width**-0.5, n_head * width // k.shape[2]
        q_rows, d_rows, out_rows, lse_rows = (rows(x).tolist() for x in (q, d_out, out, lse))
        k_rows, v_rows = rows(k).tolist(), rows(v).tolist()
        for queries, keys in documents(q, k, positions, start):
            past = (keys.stop - keys.start) - (queries.stop - queries.start)
            key_heads, value_heads = heads(k_rows[keys], width), heads(v_rows[keys], width)
            d_query, (d_key, d_value) = [], ([[0.0] * (len(h) * width) for h in key_heads] for _ in "kv")
            of_queries = [heads(x[queries], width) for x in (q_rows, d_rows, out_rows)]
            for head, (query, d, o) in enumerate(zip(*of_queries)):
                lse_head, means = [row[head] for row in lse_rows[queries]], list(map(dot, d, o))
                d_query.append([0.0] * (len(query) * width))
                for some, tile in tile_pairs(len(query), past, window):
                    q_tile, d_tile = query[some], d[some]
                    k_tile, v_tile = key_heads[head // group][tile], value_heads[head // group][tile]
                    weights, errors = [], []  # p and e: a row for each query, a number for each key
                    seen_by = enumerate(zip(q_tile, d_tile, lse_head[some], means[some]), past + some.start + 1)
                    for seen, (q_t, d_t, lse_t, mean) in seen_by:
                        low, high = (min(max(0, n - tile.start), TILE) for n in (first_seen(seen, window), seen))
                        p = [exp(scale * s - lse_t) for s in products([q_t], k_tile[low:high])]
                        e = [scale * w * (g - mean) for w, g in zip(p, products([d_t], v_tile[low:high]))]
                        before, after = [0.0] * low, [0.0] * (len(k_tile) - high)
                        weights.append(before + p + after)
                        errors.append(before + e + after)
                    add_rows(d_query[head], some.start, width, products(errors, columns(k_tile)))
                    add_rows(d_key[head // group], tile.start, width, products(columns(errors), columns(q_tile)))
                    add_rows(d_value[head // group], tile.start, width, products(columns(weights), columns(d_tile)))
            for d_x, where, by_head in ((d_q, queries, d_query), (d_k, keys, d_key), (d_v, keys, d_value)):
                if d_x is not None:
                    add_heads(d_x, where, by_head, width)

    def cost(
        self, q: Shape, k: Shape, v: Shape, positions: Shape | None, start: Shape | None,
        *, n_head: int, window: int | None,
    ) -> Cost:  # fmt: skip
        """With P pairs of a query and a key that it sees (B T (T + 1) / 2 without cache and window): forward
        4 P C + 4 P n_head, backward 10 P C + 7 P n_head, as if no document ended inside a row."""
        past = k[1] - q[1]
        pairs = q[0] * sum(seen - first_seen(seen, window) for seen in range(past + 1, k[1] + 1))
        return {"forward": pairs * (4 * q[2] + 4 * n_head), "backward": pairs * (10 * q[2] + 7 * n_head)}


def first_seen(seen: int, window: int | None) -> int:
    """The first of the first `seen` rows that the last of them looks at."""
    return 0 if window is None else max(0, seen - window)


def tile_pairs(n_queries: int, past: int, window: int | None) -> Iterator[tuple[slice, slice]]:
    """Tiles of queries and tiles of keys in which some query sees some key."""
    for i in range(0, n_queries, TILE):
        some = slice(i, min(i + TILE, n_queries))
        first, seen = first_seen(past + i + 1, window), past + some.stop
        for j in range(first // TILE * TILE, seen, TILE):
            yield some, slice(j, j + TILE)


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


def heads(part: Matrix, width: int) -> list[Matrix]:
    """The rows of each head: the last axis cut into pieces of `width`."""
    return [[row[low : low + width] for row in part] for low in range(0, len(part[0]), width)]


def add_rows(total: list[float], first: int, width: int, values: list[float]) -> None:
    """Add rows of numbers, `width` a row, to those of `total` from row `first` on."""
    here = slice(first * width, first * width + len(values))
    total[here] = map(add, total[here], values)


def add_heads(d_x: Buffer, where: slice, by_head: Sequence[list[float]], width: int) -> None:
    """Add each head's numbers into its piece of the rows `where` of d_x."""
    n, channels = where.stop - where.start, d_x.shape[2]
    values = [v for low in range(0, n * width, width) for head in by_head for v in head[low : low + width]]
    accumulate(flat(d_x)[where.start * channels : where.stop * channels], values)
