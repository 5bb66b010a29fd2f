"""Trends for people: a heading with a small picture for each series, and a row for each run."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from microgpt_bench.report.markdown import table
from microgpt_bench.results.trend import Point, Series
from microgpt_bench.roofline.scale import digits

BARS = "▁▂▃▄▅▆▇█"
LEAST_SPAN = 0.2  # of the largest: smaller differences fill less of the picture, or noise would look like news


def heading(series: Series) -> str:
    """What it is, and its speeds as bars."""
    return f"{series.title}  {spark(speeds(series))}".rstrip()


def rows(series: Series) -> tuple[Sequence[str], list[list[str]]]:
    """The headers and a row for each run; without columns in which no run has anything."""
    against = ", ".join(dict.fromkeys(point.against for point in series.points if point.against))
    headers = ["run", "revision", "ms", "speed", "10-90 %", f"times {against}"]
    found = [[p.run, p.revision, digits(p.median_ms), told(p.speed), between(p), told(p.ratio)] for p in series.points]
    kept = [i for i in range(len(headers)) if any(cells[i] for cells in found)]
    return [headers[i] for i in kept], [[cells[i] for i in kept] for cells in found]


def between(point: Point) -> str:
    return "" if point.p10 is None else f"{told(point.p10)}-{told(point.p90)}"


def told(value: float | None) -> str:
    return "" if value is None else digits(value)


def trend_markdown(found: Iterable[Series]) -> str:
    """Machine by machine."""
    parts = []
    for machine, same in groupby(found, key=lambda series: series.machine):
        parts.append(f"## {machine}")
        for series in same:
            parts.extend([f"### {heading(series)}", table(*rows(series))])
    return "\n\n".join(parts) + "\n"


def speeds(series: Series) -> list[float]:
    """Those that are known."""
    return [point.speed for point in series.points if point.speed is not None]


def spark(values: Sequence[float]) -> str:
    """A bar for each number: █ for the largest, ▁ for the smallest, unless it's nearly as large."""
    if len(values) < 2:
        return ""
    top = max(values)
    span = max(top - min(values), LEAST_SPAN * top)
    return "".join(BARS[round((len(BARS) - 1) * (1 - (top - value) / span))] for value in values)
