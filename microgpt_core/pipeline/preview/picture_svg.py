"""A graph of calls as one SVG file that needs nothing else, on paper of its own, so that it reads on dark pages too."""

from html import escape
from itertools import pairwise

from microgpt_core.pipeline.preview.picture import Node
from microgpt_core.pipeline.preview.picture_layout import LINE, PAD, Box, Track, lay_out

MARGIN = 24
HEAD = """<style>
  text { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #57606a }
  .title { font-weight: bold; fill: #1f2328 } .part { fill: #0969da } .part, .group { text-anchor: end }
  rect { fill: #eaeef2; stroke: #8c959f } .call, .paper { fill: #ffffff } .frame { fill: #ddf4ff; stroke: none }
  .edge { fill: none; stroke: #57606a; stroke-width: 1.3; marker-end: url(#tip) } marker { fill: #57606a }
</style>
<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" markerHeight="6" orient="auto">
<path d="M0 0L8 4L0 8z"/></marker>"""


def to_svg(nodes: list[Node], name: str) -> str:
    boxes, frames, tracks = lay_out(nodes)
    lefts, tops, rights, bottoms = zip(*boxes, *frames.values(), *((x, y, x, y) for t in tracks for x, y, _ in t))
    paper = Box(min(lefts) - MARGIN, min(tops) - MARGIN, max(rights) + MARGIN, max(bottoms) + MARGIN)
    width, height = paper.right - paper.left, paper.bottom - paper.top
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title about" width="{width:g}" '
        f'height="{height:g}" viewBox="{paper.left:g} {paper.top:g} {width:g} {height:g}">',
        f'<title id="title">The calls of {escape(name)}</title>',
        f'<desc id="about">{escape(describe(nodes))}</desc>',
        HEAD,
        rectangle(paper, "paper"),
    ]
    for group, frame in frames.items():
        lines.append(rectangle(frame, "frame") + write(frame.right - PAD, frame.top + LINE - 2, group, "group"))
    lines += [f'<path class="edge" d="{path(track)}"/>' for track in tracks]
    lines += [draw(node, box) for node, box in zip(nodes, boxes)]
    return "\n".join([*lines, "</svg>", ""])


def describe(nodes: list[Node]) -> str:
    """The picture in words, for those who don't see it."""
    names = [" ".join(filter(None, (n.group, n.part, n.title))) for n in nodes]
    reads = [" and ".join(f"{names[a]} {shape}" for a, shape in n.reads) for n in nodes]
    return "; ".join(f"{name} reads {read}" for name, read in zip(names, reads) if read)


def path(track: Track) -> str:
    """Down every stretch, with a curve from each to the next."""
    (x, y, end), *_ = track
    parts = [f"M{x:g} {y:g}V{end:g}"]
    for (x1, _, y1), (x2, y2, end) in pairwise(track):
        middle = (y1 + y2) / 2
        parts.append(f"C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2:g}V{end:g}")
    return "".join(parts)


def draw(node: Node, box: Box) -> str:
    """A box: the op at the left and its part at the right, the notes below."""
    texts = [(box.left + PAD, node.title, "title"), *((box.left + PAD, note, "note") for note in node.notes)]
    lines = [write(x, box.top + LINE * at, text, style) for at, (x, text, style) in enumerate(texts, 1)]
    return rectangle(box, node.kind) + "".join(lines) + write(box.right - PAD, box.top + LINE, node.part, "part")


def rectangle(box: Box, style: str) -> str:
    size = f'width="{box.right - box.left:g}" height="{box.bottom - box.top:g}"'
    return f'<rect class="{style}" x="{box.left:g}" y="{box.top:g}" {size} rx="7"/>'


def write(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}">{escape(text)}</text>' if text else ""
