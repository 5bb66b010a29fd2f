"""The roofline as one SVG that needs nothing else: roofs by precision and level, and every op of a step as a dot.

Across: FLOPs for each byte. Up: FLOP/s. A dot's area is its share of the time, its colour what bounds it, and the
dotted line above it ends where it could be.
"""

from collections.abc import Sequence
from html import escape
from math import sqrt

from microgpt_bench.roofline.labels import Box, Dot, Label, place
from microgpt_bench.roofline.points import Group
from microgpt_bench.roofline.roof import Roof
from microgpt_bench.roofline.scale import Scale, rate, share, size, tick
from microgpt_bench.roofline.style import LIGHT, SHAPES, style

WIDTH, HEIGHT = 1000, 620
PLOT = Box(72, 74, 790, 556)
KEY = 812  # where the key begins
LETTER, STRONG, LINE = 6.4, 7.4, 14  # pixels: a letter of a label and of a level's name, and a line
LARGEST, SMALLEST = 34.0, 3.5  # pixels: the radius of a dot that is the whole step, and of one that is nothing
SEEN = 1e-5  # of a step's FLOPs: an op with less does no arithmetic to speak of
NUMBERED = 0.03  # of the time: a label that says how much


def draw(groups: Sequence[Group], roof: Roof, title: str, about: str, precision: str = "float32") -> str:
    """The picture of the ops of a step."""
    shown, hidden = seen(groups)
    x, y = axes(shown, roof, precision)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="roofline" role="img" aria-labelledby="roof-title roof-about" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        f'<title id="roof-title">{escape(title)} under the roofline</title>',
        f'<desc id="roof-about">{escape(describe(groups))}</desc>',
        f"<style>\n{SHAPES}\n{style(LIGHT)}\n</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        text(PLOT.left, 28, title, "ink title"),
        text(PLOT.left, 50, about, ""),
        *draw_grid(x, y),
        *draw_roofs(roof, x, y, precision),
        *draw_dots(shown, sum(g.weight for g in groups), x, y, ridge_boxes(roof, x, y, precision)),
        *draw_key(roof, shown, precision),
        text(PLOT.left, HEIGHT - 12, hidden_note(hidden), "small"),
        "</svg>",
    ]
    return "\n".join([*lines, ""])


def seen(groups: Sequence[Group]) -> tuple[list[Group], list[Group]]:
    """Those that a dot can be drawn for, and those that do no arithmetic to speak of."""
    least = SEEN * sum(g.flops for g in groups)
    return [g for g in groups if g.flops > least], [g for g in groups if g.flops <= least]


def hidden_note(hidden: Sequence[Group]) -> str:
    names = ", ".join(g.name for g in hidden)
    return f"Next to no arithmetic, and so no dot: {names}" if names else ""


def axes(groups: Sequence[Group], roof: Roof, precision: str) -> tuple[Scale, Scale]:
    """Scales that hold every dot, every ridge, and some of what is left and right of them."""
    ridges = [roof.ridge(level, precision) for level in roof.levels]
    across = [g.intensity for g in groups] + ridges
    up = [g.rate for g in groups] + [roof.peak(precision) / 30]
    top = max(roof.peak(precision), *(g.rate for g in groups))
    return (
        Scale(min(across) / 2, max(across) * 3, PLOT.left, PLOT.right),
        Scale(min(up) / 2.5, top * 2.4, PLOT.bottom, PLOT.top),
    )


def draw_grid(x: Scale, y: Scale) -> list[str]:
    lines = [vertical(x(v), "grid minor") for v in x.between()] + [vertical(x(v), "grid") for v in x.decades()]
    lines += [horizontal(y(v), "grid") for v in y.decades()]
    lines += [text(x(v), PLOT.bottom + 18, f"{v:g}", "middle") for v in x.decades()]
    lines += [text(PLOT.left - 8, y(v) + 4, tick(v), "right") for v in y.decades()]
    lines.append(text(PLOT.right, PLOT.bottom + 36, "arithmetic intensity: FLOPs for each byte moved", "right ink"))
    lines.append(text(PLOT.left - 8, PLOT.top - 6, "FLOP/s", "right ink"))
    return lines


def vertical(x: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x:.1f} {PLOT.top:g}V{PLOT.bottom:g}"/>'


def horizontal(y: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{PLOT.left:g} {y:.1f}H{PLOT.right:g}"/>'


def draw_roofs(roof: Roof, x: Scale, y: Scale, precision: str) -> list[str]:
    """A slope for each level as far as the peak, the peaks of every precision, and what nothing here can reach."""
    nearest, top = roof.levels[0], y(roof.peak(precision))
    start = slope_start(x, y, nearest.bandwidth)
    ridge = x(roof.ridge(nearest, precision))
    lines = [
        f'<path class="beyond" d="M{start[0]:.1f} {start[1]:.1f}L{ridge:.1f} {top:.1f}H{PLOT.right:g}'
        f'V{PLOT.top:g}H{PLOT.left:g}V{min(start[1], PLOT.bottom):.1f}z"/>'
    ]
    lines.append(text(PLOT.left + 12, PLOT.top + 22, "faster than this machine can be", ""))
    for level in roof.levels:
        (left, low), end = slope_start(x, y, level.bandwidth), x(roof.ridge(level, precision))
        lines.append(f'<path class="{level.name} roof" d="M{left:.1f} {low:.1f}L{end:.1f} {top:.1f}"/>')
    for name, peak in roof.peaks.items():
        if name != precision and peak < roof.peak(precision):
            left = x(max(x.low, peak / nearest.bandwidth))
            lines.append(f'<path class="compute roof faint" d="M{left:.1f} {y(peak):.1f}H{PLOT.right:g}"/>')
    lines.append(f'<path class="compute roof" d="M{ridge:.1f} {top:.1f}H{PLOT.right:g}"/>')
    for level, box in zip(roof.levels, ridge_boxes(roof, x, y, precision)):
        lines.append(text((box.left + box.right) / 2, box.bottom - 3, level.name, f"{level.name} middle strong"))
    return lines


def slope_start(x: Scale, y: Scale, bandwidth: float) -> tuple[float, float]:
    """Where a slope enters the picture: at its left side, or from below."""
    intensity = max(x.low, y.low / bandwidth)
    return x(intensity), y(intensity * bandwidth)


def ridge_boxes(roof: Roof, x: Scale, y: Scale, precision: str) -> list[Box]:
    """Places for the levels' names above their ridges, moved to the right where they would meet."""
    boxes, end = list[Box](), 0.0
    for level in roof.levels:
        width = STRONG * len(level.name) + 6
        left = max(x(roof.ridge(level, precision)) - width / 2, end)
        end, top = left + width, y(roof.peak(precision))
        boxes.append(Box(left, top - 20, end, top - 3))
    return boxes


def draw_dots(groups: Sequence[Group], total: float, x: Scale, y: Scale, taken: Sequence[Box]) -> list[str]:
    """Stems first, then dots, then lines to labels, then labels: words are above all."""
    dots = [Dot(x(g.intensity), y(g.rate), max(SMALLEST, LARGEST * sqrt(g.weight / total))) for g in groups]
    words = [g.name + (f" {share(part)}" if (part := g.weight / total) >= NUMBERED else "") for g in groups]
    labels = place(dots, [(LETTER * len(w), LINE) for w in words], PLOT, taken)
    stems, backs, circles, leads, names = list[str](), list[str](), list[str](), list[str](), list[str]()
    for group, dot, word, label in zip(groups, dots, words, labels):
        roof_y = y(group.flops / group.least)
        if roof_y < dot.y - dot.r:
            stems.append(f'<path class="{group.bound} stem" d="M{dot.x:.1f} {dot.y - dot.r:.1f}V{roof_y:.1f}"/>')
        circles.append(
            f'<circle class="{group.bound}" cx="{dot.x:.1f}" cy="{dot.y:.1f}" r="{dot.r:.1f}">'
            f"<title>{escape(tooltip(group, total))}</title></circle>"
        )
        leads += lead(dot, label)
        backs.append(rectangle(label.box, "back"))
        names.append(text((label.box.left + label.box.right) / 2, label.box.bottom - 3, word, "ink small middle"))
    return stems + backs + circles + leads + names


def lead(dot: Dot, label: Label) -> list[str]:
    """The line from a dot's edge to a label that is further away."""
    if label.lead is None:
        return []
    (x, y), length = label.lead, sqrt((label.lead[0] - dot.x) ** 2 + (label.lead[1] - dot.y) ** 2)
    edge = dot.r / length
    from_x, from_y = dot.x + (x - dot.x) * edge, dot.y + (y - dot.y) * edge
    return [f'<path class="lead" d="M{from_x:.1f} {from_y:.1f}L{x:.1f} {y:.1f}"/>']


def tooltip(group: Group, total: float) -> str:
    reached = "" if group.share is None else f", {share(group.share)} of its roof"
    return (
        f"{group.name}: {group.calls} calls, {share(group.weight / total)} of the time, {rate(group.rate, 'FLOP/s')} "
        f"at {group.intensity:.2g} FLOPs a byte{reached}, bound by {group.bound}"
    )


def draw_key(roof: Roof, groups: Sequence[Group], precision: str) -> list[str]:
    """What the lines are, in numbers, and what a dot says."""
    y = PLOT.top + 4
    lines = [text(KEY, y, "Roofs", "ink strong")]
    for name, peak in sorted(roof.peaks.items(), key=lambda item: -item[1]):
        y += 22
        faint = "" if name == precision else " faint"
        lines.append(f'<path class="compute roof{faint}" d="M{KEY} {y - 4:g}h22"/>')
        lines += [text(KEY + 30, y, name, ""), text(WIDTH - 16, y, rate(peak, "FLOP/s"), "right")]
    for level in roof.levels:
        y += 22
        lines.append(f'<path class="{level.name} roof" d="M{KEY} {y:g}l22 -9"/>')
        lines += [text(KEY + 30, y, level.name, ""), text(WIDTH - 16, y, rate(level.bandwidth, "B/s"), "right")]
        if level.nbytes:
            y += 15
            lines.append(text(KEY + 30, y, f"holds {size(level.nbytes)}", "small"))
    y += 36
    lines.append(text(KEY, y, "Dots", "ink strong"))
    known = any(g.seconds is not None for g in groups)
    said = ["area: its share of the time", "colour: what bounds it", "dotted: up to its roof"]
    guessed = ["not timed: each stands", "where it could be", "area: its share of least times"]
    for row in said if known else guessed:
        y += 18
        lines.append(text(KEY, y, row, ""))
    if known:
        y += 20
        for part in (0.5, 0.1, 0.01):
            r = max(SMALLEST, LARGEST * sqrt(part))
            lines.append(f'<circle class="sample" cx="{KEY + LARGEST:g}" cy="{y + r:.1f}" r="{r:.1f}"/>')
            lines.append(text(KEY + 2 * LARGEST + 6, y + r + 4, f"{100 * part:g} %", ""))
            y += 2 * r + 6
    return lines


def describe(groups: Sequence[Group]) -> str:
    """The picture in words, for those who don't see it."""
    total = sum(g.weight for g in groups)
    return "; ".join(tooltip(group, total) for group in groups)


def rectangle(box: Box, kind: str) -> str:
    width, height = box.right - box.left, box.bottom - box.top
    return f'<rect class="{kind}" x="{box.left:.1f}" y="{box.top:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def text(x: float, y: float, words: str, kind: str) -> str:
    if not words:
        return ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
