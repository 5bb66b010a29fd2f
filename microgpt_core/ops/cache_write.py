"""Write rows into a cache: cache[b, start[b] + t] = x[b, t]. The keys and values of tokens already read."""

from math import prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, flat
from microgpt_core.errors import DataError


class CacheWrite(Op):
    integers = ("start",)
    mutates = ("cache",)

    def shapes(self, cache: Shape, x: Shape, start: Shape) -> Shapes:
        self.expect("x", x, ("B", "T", "C"))
        self.expect("cache", cache, (x[0], "S", x[2]))
        self.expect("start", start, x[:1])
        return {}

    def forward(self, cache: Buffer, x: Buffer, start: Buffer) -> None:  # cache (B, S, C), x (B, T, C), start (B,)
        target, source = flat(cache), flat(x)
        _, length, channels = x.shape
        size, room = length * channels, cache.shape[1] * channels
        free = cache.shape[1] - length
        for b, row in enumerate(start):
            if not 0 <= row <= free:
                raise DataError(
                    f"cache_write: {length} rows at {row} don't fit a cache of {cache.shape[1]} (sequence {b})"
                )
        for b, row in enumerate(start):
            at = b * room + row * channels
            target[at : at + size] = source[b * size : (b + 1) * size]

    def cost(self, cache: Shape, x: Shape, start: Shape) -> Cost:
        """Copies, computes nothing."""
        return {"forward": 0, "touched": {"cache": prod(x)}}
