"""A logarithmic axis: where a number stands, where its lines are, and how rates and sizes are written."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, log10

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Scale:
    """From `low` at the pixel `start` to `high` at the pixel `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * log10(value / self.low) / log10(self.high / self.low)

    def decades(self) -> Iterator[float]:
        """The powers of ten on it."""
        yield from (10.0**i for i in range(ceil(log10(self.low) - 1e-9), floor(log10(self.high) + 1e-9) + 1))

    def between(self) -> Iterator[float]:
        """Twice to nine times each power of ten."""
        for i in range(floor(log10(self.low)), ceil(log10(self.high))):
            yield from (v for n in range(2, 10) if self.low <= (v := n * 10.0**i) <= self.high)


def rate(value: float, unit: str) -> str:
    """Three digits and a prefix: 106 GFLOP/s, 14.6 GB/s."""
    for size, prefix in PREFIXES:
        if value >= 0.9995 * size:
            return f"{digits(value / size)} {prefix}{unit}"
    return f"{digits(value)} {unit}"


def tick(value: float) -> str:
    """A power of ten: 10 M."""
    for size, prefix in PREFIXES:
        if value >= 0.9995 * size:
            return f"{value / size:.0f} {prefix}"
    return f"{value:g}"


def size(nbytes: int) -> str:
    """Of a cache, in powers of two as their makers say it: 32 KiB."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if nbytes >= 1 << power:
            return f"{nbytes / (1 << power):.4g} {unit}"
    return f"{nbytes} bytes"


def seconds(value: float) -> str:
    for least, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= 0.9995 * least:
            return f"{digits(value / least)} {unit}"
    return f"{digits(value * 1e9)} ns" if value >= 1e-9 else "<1 ns"


def digits(value: float) -> str:
    """Three of them that count: 0.0123, 1.23, 12.3, 123."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}" if value >= 0.9995 else f"{value:.3g}"


def share(value: float) -> str:
    """Percent: 37 %, 4.5 %, 0.02 %, <0.01 %."""
    percent = 100 * value
    if percent < 0.005:
        return "<0.01 %"
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.1f} %" if percent >= 0.095 else f"{percent:.2f} %"
