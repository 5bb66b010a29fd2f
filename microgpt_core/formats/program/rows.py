"""What the ops compute, for one token at a time: the formulas of an exported program, which copies them from here.

The same sums in the same order as in the ops, and rounded where those write to a buffer, so that the bits are the
same. A row is a list of a token's numbers. Whatever op isn't here is exported as its own file has it.
"""

import base64
import math
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import add as plus
from typing import Any

from microgpt_core.components import dot
from microgpt_core.ops.silu import silu

FORMAT = "f"  # of the model's numbers: the exporter writes this line itself
TILE = 64

Row = list[float]
Rows = list[Row]


def rounded(values: Iterable[float]) -> Row:
    """The numbers as the model was trained with: each operation's result is rounded to them."""
    return array(FORMAT, values).tolist()


def each(f: Callable[[float], float], x: Row) -> Row:
    """f of every number."""
    return rounded(map(f, x))


def add(a: Row, b: Row) -> Row:
    return rounded(map(plus, a, b))


def linear(x: Row, weight: Rows, bias: Row | None = None) -> Row:
    """W x + b: each number of the result is a row of W times x."""
    products = [dot(x, row) for row in weight]
    return rounded(products if bias is None else map(plus, products, bias))


def rmsnorm(x: Row, weight: Row | None = None, eps: float = 1e-5) -> Row:
    """x / sqrt(mean(x^2)): the numbers keep their proportions, and get one size."""
    r = 1.0 / math.sqrt(dot(x, x) / len(x) + eps)
    return rounded([r * v for v in x] if weight is None else [r * v * w for v, w in zip(x, weight)])


def layernorm(x: Row, weight: Row | None = None, bias: Row | None = None, eps: float = 1e-5) -> Row:
    """(x - mean) / standard deviation, then w times that, plus b."""
    mean = sum(x) / len(x)
    centered = [v - mean for v in x]
    r = 1.0 / math.sqrt(dot(centered, centered) / len(x) + eps)
    z = [r * v for v in centered]
    z = z if weight is None else [v * w for v, w in zip(z, weight)]
    return rounded(z if bias is None else map(plus, z, bias))


def swiglu(x: Row, gate: Row) -> Row:
    """x silu(gate): one half decides how much of the other passes."""
    return rounded([v * silu(g) for v, g in zip(x, gate)])


def sinusoidal(x: Row, position: int) -> Row:
    """x plus waves of len(x) / 2 wavelengths, so that no two positions look alike."""
    speeds = [10000.0 ** (-(i - i % 2) / len(x)) for i in range(len(x))]
    return rounded([v + (math.cos if i % 2 else math.sin)(position * s) for i, (v, s) in enumerate(zip(x, speeds))])


def rope(x: Row, position: int, n_head: int, theta: float = 10000.0) -> Row:
    """Turn pairs of numbers, half a head apart, by angles that grow with the position."""
    half = len(x) // n_head // 2
    angles = [position * theta ** (-i / half) for i in range(half)]
    turns = [(math.cos(angle), math.sin(angle)) for angle in angles]
    turned: Row = []
    for low in range(0, len(x), 2 * half):
        first, second = x[low : low + half], x[low + half : low + 2 * half]
        turned += [a * c - b * s for a, b, (c, s) in zip(first, second, turns)]
        turned += [a * s + b * c for a, b, (c, s) in zip(first, second, turns)]
    return rounded(turned)


def attention(q: Row, keys: Rows, values: Rows, n_head: int) -> Row:
    """Each head looks back: the better its query fits a token's key, the more it takes of that token's value."""
    width = len(q) // n_head
    mixed: Row = []
    for query, head_keys, head_values in heads(q, keys, values, width):
        scores = [width**-0.5 * dot(query, key) for key in head_keys]
        top = max(scores)
        powers = [math.exp(score - top) for score in scores]
        total = sum(powers)
        mixed += [dot(powers, column) / total for column in zip(*head_values)]
    return rounded(mixed)


def attention_in_tiles(q: Row, keys: Rows, values: Rows, n_head: int, window: int | None = None) -> Row:
    """Each head looks back: the better its query fits a token's key, the more it takes of that token's value.

    It looks at a tile of keys at a time. What it has so far fades by exp(old top score - new top score).
    """
    width, first = len(q) // n_head, 0 if window is None else max(0, len(keys) - window)
    mixed: Row = []
    for query, head_keys, head_values in heads(q, keys, values, width):
        top, total, sums = -math.inf, 0.0, [0.0] * width
        for low in range(first // TILE * TILE, len(keys), TILE):
            tile = slice(max(first, low), low + TILE)
            scores = [width**-0.5 * dot(query, key) for key in head_keys[tile]]
            before, top = top, max(top, *scores)
            fade = math.exp(before - top)
            powers = [math.exp(score - top) for score in scores]
            total = total * fade + sum(powers)
            sums = [s * fade + dot(powers, column) for s, column in zip(sums, zip(*head_values[tile]))]
        mixed += [s / total for s in sums]
    return rounded(mixed)


def heads(q: Row, keys: Rows, values: Rows, width: int) -> Iterator[tuple[Row, Rows, Rows]]:
    """Each head's piece of the query, and the pieces of keys and values that it looks at."""
    sharing = len(q) // len(keys[0])  # heads of the query that look at the same piece
    for head in range(len(q) // width):
        query, piece = slice(head * width, head * width + width), head // sharing * width
        here = slice(piece, piece + width)
        yield q[query], [key[here] for key in keys], [value[here] for value in values]


def buffer(shape: tuple[int, ...], values: Sequence[Any] | None = None, format: str = FORMAT) -> Any:
    """Numbers in a row that know their shape: a memoryview."""
    if values is None:
        values = [0] * math.prod(shape)
    flat = values if not isinstance(values[0], list) else [v for row in values for v in row]
    return memoryview(array(format, flat)).cast("B").cast(format, shape)  # type: ignore[call-overload]


def numbers(shape: tuple[int, ...], text: str) -> Any:
    """A row of learned numbers, or rows of them, from the base64 of their little-endian bytes."""
    values = array(FORMAT, base64.b64decode(text))
    if sys.byteorder == "big":
        values.byteswap()
    row = values.tolist()
    return row if len(shape) == 1 else [row[i : i + shape[1]] for i in range(0, len(row), shape[1])]
