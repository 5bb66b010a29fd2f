"""The picture's style sheets: its shapes, and its colours on light and on dark paper."""

from microgpt_bench.roofline.roof import COMPUTE, MEMORY

LIGHT = {
    "ink": "#1f2328", "soft": "#57606a", "faint": "#d0d7de", "paper": "#ffffff", "beyond": "#f3f4f6",
    "compute": "#bc4c00", "L1": "#8250df", "L2": "#0969da", "L3": "#1a7f37", "L4": "#0a7d8c", "memory": "#cf222e",
}  # fmt: skip
DARK = {
    "ink": "#e6edf3", "soft": "#9198a1", "faint": "#30363d", "paper": "#0d1117", "beyond": "#161b22",
    "compute": "#f0883e", "L1": "#bc8cff", "L2": "#58a6ff", "L3": "#56d364", "L4": "#39c5cf", "memory": "#ff7b72",
}  # fmt: skip


def style(colours: dict[str, str]) -> str:
    """The style sheet of the picture in some colours; every rule begins with its class, so that it can be in a page."""
    bounds = [name for name in colours if name in (COMPUTE, MEMORY) or name.startswith("L")]
    rules = [
        f".roofline .paper, .roofline .back {{ fill: {colours['paper']} }}",
        f".roofline .beyond {{ fill: {colours['beyond']} }}",
        f".roofline text {{ fill: {colours['soft']} }}",
        f".roofline .ink {{ fill: {colours['ink']} }}",
        f".roofline .grid {{ stroke: {colours['faint']} }}",
        f".roofline .lead {{ stroke: {colours['soft']} }}",
        f".roofline .sample {{ fill: {colours['soft']} }}",
        *(f".roofline .{b}.roof, .roofline .{b}.stem {{ stroke: {colours[b]} }}" for b in bounds),
        *(f".roofline circle.{b} {{ fill: {colours[b]}; stroke: {colours['paper']} }}" for b in bounds),
        *(f".roofline text.{b} {{ fill: {colours[b]} }}" for b in bounds),
    ]
    return "\n".join(rules)


SHAPES = """.roofline text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
.roofline .title { font-size: 17px; font-weight: 600 }
.roofline .strong { font-weight: 600 }
.roofline .right { text-anchor: end }
.roofline .middle { text-anchor: middle }
.roofline .small { font-size: 11px }
.roofline .back { fill-opacity: 0.72 }
.roofline .grid { stroke-width: 1 }
.roofline .minor { stroke-opacity: 0.4 }
.roofline .roof { fill: none; stroke-width: 2.2 }
.roofline .faint { stroke-opacity: 0.35 }
.roofline .stem { stroke-width: 1.2; stroke-opacity: 0.7; stroke-dasharray: 1.5 3 }
.roofline .lead { stroke-width: 0.7; stroke-opacity: 0.7 }
.roofline circle { fill-opacity: 0.78; stroke-width: 1 }"""
