"""Write rows into a cache: cache[b, start[b] + t] = x[b, t]. The keys and values of tokens already read."""

from microgpt_core.components import Op, flat
from microgpt_core.errors import DataError


class CacheWrite(Op):
    integers = ("start",)
    mutates = ("cache",)

    def shapes(self, cache, x, start):
        self.expect("cache", cache, (x[0], "S", x[2]))
        self.expect("start", start, x[:1])
        return {}

    def forward(self, cache, x, start):  # cache (B, S, C), x (B, T, C), start (B,)
        target, source = flat(cache), flat(x)
        size, room = x.shape[1] * x.shape[2], cache.shape[1] * cache.shape[2]
        for b, row in enumerate(start):
            if not 0 <= row <= cache.shape[1] - x.shape[1]:
                raise DataError(
                    f"cache_write: {x.shape[1]} rows at {row} don't fit a cache of {cache.shape[1]} (sequence {b})"
                )
            at = b * room + row * x.shape[2]
            target[at : at + size] = source[b * size : (b + 1) * size]

    def cost(self, cache, x, start):
        """Copies, computes nothing."""
        return {"forward": 0, "touched": {"cache": x[0] * x[1] * x[2]}}
