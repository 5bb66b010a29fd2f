"""Numbers as a line of bars, one character each, for a terminal."""

from collections.abc import Sequence

BARS, ASCII = "▁▂▃▄▅▆▇█", "_.-=+*#@"


def sparkline(values: Sequence[float], width: int, encoding: str | None) -> str:
    """The values, averaged to at most `width` bars: the lowest and the highest bar are the least and the most."""
    n = min(width, len(values))
    edges = [i * len(values) // n for i in range(n + 1)] if n else []
    means = [sum(values[a:b]) / (b - a) for a, b in zip(edges, edges[1:])]
    bars = BARS if "utf" in (encoding or "").lower() else ASCII
    least = min(means, default=0.0)
    scale = (len(bars) - 1) / ((max(means, default=0.0) - least) or 1.0)
    return "".join(bars[round((mean - least) * scale)] for mean in means)
