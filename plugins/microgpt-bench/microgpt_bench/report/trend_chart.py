"""Trends as one SVG that needs nothing else: a line for each series, one dot for each run, higher is faster.

A thin line spans what the slowest and the fastest tenth of a run's rounds had; a dashed one is the first run's speed.
"""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from microgpt_bench.report.chart import STYLE
from microgpt_bench.report.trend import LEAST_SPAN
from microgpt_bench.results.trend import Point, Series
from microgpt_bench.roofline.scale import digits

WIDTH, LEFT, RIGHT = 780, 70, 740  # pixels: of the picture, of the first and the last run
LINE, HEIGHT = 24, 90  # of a line of text, of a series
DOT = 3.5
LINES = """
.speeds .line { fill: none; stroke: #0969da; stroke-width: 1.5 } .speeds .first { stroke: #8c959f; stroke-dasharray: 3 }
.speeds .small { font-size: 11px } .speeds .middle { text-anchor: middle } .speeds .end { text-anchor: end }
@media (prefers-color-scheme: dark) { .speeds .line { stroke: #58a6ff } .speeds .first { stroke: #6e7681 } }"""


def trend_chart(found: Sequence[Series]) -> str:
    """Machine by machine; of each series the runs whose speed is known."""
    lines: list[str] = []
    y = 10
    for machine, same in groupby(found, key=lambda series: series.machine):
        lines.append(f'<text class="model" x="10" y="{y + 14}">{escape(machine)}</text>')
        y += LINE
        for series in same:
            lines.extend(panel(series, y))
            y += 2 * LINE + HEIGHT
    size = f'viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="speeds" role="img" aria-label="speeds of runs" {size}>'
    return "\n".join([head, f"<style>\n{STYLE}{LINES}\n</style>", *lines, "</svg>", ""])


def panel(series: Series, y: float) -> Iterator[str]:
    """The title, the line, its dots, and a revision below the first and the last."""
    yield f'<text x="20" y="{y + 14}">{escape(series.title)}, times the first run\'s speed</text>'
    known = [point for point in series.points if point.speed is not None]
    if not known:
        return
    top, bottom = y + LINE + 6, y + LINE + HEIGHT - 10
    highest = max(point.p90 or 0.0 for point in known)
    lowest = min(min(point.p10 or 0.0 for point in known), (1 - LEAST_SPAN) * highest)

    def height(speed: float | None) -> float:
        return bottom - (bottom - top) * ((speed or 0.0) - lowest) / (highest - lowest)

    xs = [LEFT + (RIGHT - LEFT) * i / max(1, len(known) - 1) for i in range(len(known))]
    if lowest <= 1 <= highest:
        yield f'<line class="first" x1="{LEFT}" x2="{RIGHT}" y1="{height(1):.1f}" y2="{height(1):.1f}"/>'
    joined = " ".join(f"{x:.1f},{height(point.speed):.1f}" for x, point in zip(xs, known))
    yield f'<polyline class="line" points="{joined}"/>'
    for x, point in zip(xs, known):
        ends = f'y1="{height(point.p10):.1f}" y2="{height(point.p90):.1f}"'
        yield f'<line class="spread" x1="{x:.1f}" x2="{x:.1f}" {ends}/>'
        yield f'<circle class="own" cx="{x:.1f}" cy="{height(point.speed):.1f}" r="{DOT}">{about(point)}</circle>'
    for speed in (highest, lowest):
        yield f'<text class="small end" x="{LEFT - 10}" y="{height(speed) + 4:.1f}">{digits(speed)}</text>'
    for x, point in {xs[0]: known[0], xs[-1]: known[-1]}.items():
        when = escape(point.revision or point.time[:10])
        yield f'<text class="small middle" x="{x:.1f}" y="{bottom + 16}">{when}</text>'


def about(point: Point) -> str:
    """What a browser shows beside the dot."""
    words = filter(None, [point.run, point.revision, f"{digits(point.median_ms)} ms"])
    return f"<title>{escape(', '.join(words))}</title>"
