"""The roofline as one page for a browser: the picture, its numbers, advice. It loads nothing and runs no script."""

from collections.abc import Sequence
from html import escape

from microgpt_bench.roofline.advice import Advice
from microgpt_bench.roofline.style import DARK, style
from microgpt_bench.roofline.tables import Rows

STYLE = """:root { color-scheme: light dark; --ink: #1f2328; --soft: #57606a; --line: #d0d7de; --paper: #ffffff }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 66rem; margin: 2rem auto; padding: 0 1rem }
svg { width: 100%; height: auto }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
p, li, caption { max-width: 46rem } .soft { color: var(--soft) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th { font-weight: 600; border-bottom: 2px solid var(--line) } td { border-bottom: 1px solid var(--line) }
th, td { padding: 4px 10px; text-align: right; white-space: nowrap } th:first-child, td:first-child { text-align: left }
tr:last-child td.total { font-weight: 600 }"""
DARK_PAGE = ":root { --ink: #e6edf3; --soft: #9198a1; --line: #30363d; --paper: #0d1117 }"

HOW = """Across is how much arithmetic an op does with each byte that it moves, up is how much it does in a second; both
axes are logarithmic. No op can be above the roof: the flat part is the arithmetic of this machine, each slope the speed
of one place that numbers come from. Where an op stands left and right is given by what it computes. How far it is below
its roof is what a better kernel could gain; to be under a higher part of the roof it would have to move fewer bytes."""

Table = tuple[str, Sequence[str], Rows]


def page(
    title: str, about: str, picture: str, tables: Sequence[Table], advice: Sequence[Advice], notes: Sequence[str]
) -> str:
    """The whole file. A table is its title, its headers and its rows; advice is left out where there is none."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)} under the roofline</title>",
        f"<style>\n{STYLE}\n</style></head><body>",
        f"<h1>{escape(title)} under the roofline</h1>",
        f'<p class="soft">{escape(about)}</p>',
        picture,
        # after the picture, whose own colours are for light paper
        f"<style>@media (prefers-color-scheme: dark) {{ {DARK_PAGE}\n{style(DARK)} }}</style>",
        f"<h2>How to read it</h2><p>{HOW}</p>",
        *advice_part(advice),
        *(table(*one) for one in tables),
        *(f'<p class="soft">{escape(note)}</p>' for note in notes),
        "</body></html>",
    ]
    return "\n".join([*parts, ""])


def advice_part(advice: Sequence[Advice]) -> list[str]:
    if not advice:
        return []
    items = [
        f"<li><strong>{escape(one.what)}</strong>: {escape(one.because)}. At most {one.gain:.1f} times as fast.</li>"
        for one in advice
    ]
    return ["<h2>What would make it faster</h2>", "<ol>", *items, "</ol>"]


def table(title: str, headers: Sequence[str], rows: Rows) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in headers)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<h2>{escape(title)}</h2><div class="wide"><table><tr>{head}</tr>\n{body}\n</table></div>'
