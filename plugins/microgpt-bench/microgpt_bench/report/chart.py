"""A report's speeds as one SVG that needs nothing else: a bar for each candidate, longer is faster, model by model.

A thin line spans what the slowest and the fastest tenth of the rounds had.
"""

from collections.abc import Iterator, Sequence
from html import escape

from microgpt_bench.report.table import label
from microgpt_bench.results.result import Report, Result
from microgpt_bench.roofline.scale import digits

WIDTH, NAMES, BARS = 780, 270, 400  # pixels: of the picture, of its names, of the longest bar
LINE, BAR = 24, 14
STYLE = """.speeds { font: 13px system-ui, sans-serif; background: #ffffff }
.speeds text { fill: #1f2328 } .speeds .model { font-weight: 600 } .speeds .own { fill: #0969da }
.speeds .peer { fill: #8c959f } .speeds .spread { stroke: #1f2328 }
@media (prefers-color-scheme: dark) { .speeds { background: #0d1117 } .speeds text { fill: #e6edf3 }
.speeds .own { fill: #58a6ff } .speeds .peer { fill: #6e7681 } .speeds .spread { stroke: #e6edf3 } }"""


def chart(report: Report) -> str:
    """The picture of everything but single ops."""
    whole = [result for result in report.results if not result.op]
    lines, y = [], 10
    for model in dict.fromkeys(result.model for result in whole):
        shown = [result for result in whole if result.model == model]
        lines.append(f'<text class="model" x="10" y="{y + BAR}">{escape(model)}, {unit(shown)}</text>')
        lines.extend(rows(shown, y + LINE))
        y += LINE * (len(shown) + 1) + 10
    size = f'viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="speeds" role="img" aria-label="speeds" {size}>'
    return "\n".join([head, f"<style>\n{STYLE}\n</style>", *lines, "</svg>", ""])


def unit(shown: Sequence[Result]) -> str:
    return "tokens a second" if shown[0].tokens else "times a second"


def speed(result: Result, ms: float) -> float:
    """0 where the clock was too coarse to see any time pass."""
    return 1e3 * (result.tokens or 1.0) / ms if ms else 0.0


def rows(shown: Sequence[Result], y: int) -> Iterator[str]:
    """A model's candidates, one below the other, on one scale."""
    scale = BARS / (max(speed(result, result.p10_ms) for result in shown) or 1.0)
    for i, result in enumerate(shown):
        top, middle = y + LINE * i, y + LINE * i + BAR / 2
        found, low, high = (speed(result, ms) for ms in (result.median_ms, result.p90_ms, result.p10_ms))
        kind = "peer" if result.peer else "own"
        yield f'<text x="20" y="{top + BAR - 3}">{escape(label(result))}</text>'
        yield f'<rect class="{kind}" x="{NAMES}" y="{top}" width="{scale * found:.1f}" height="{BAR}"/>'
        ends = f'x1="{NAMES + scale * low:.1f}" x2="{NAMES + scale * high:.1f}"'
        yield f'<line class="spread" {ends} y1="{middle}" y2="{middle}"/>'
        yield f'<text x="{NAMES + scale * high + 8:.1f}" y="{top + BAR - 3}">{digits(found)}</text>'
