"""Labels beside dots, so that none covers a dot, a line that leads to one, or another label.

The most important is placed first, each at the nearest free place around its dot.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin

GAP = 4.0  # pixels between a dot and its label
RINGS = (0, 8, 16, 26, 38, 52, 68, 86, 106, 130, 160, 200, 250)  # and further away, where there is no room
ANGLES = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7, 8]  # eighths of a half turn, the right side first
ALONE = 9.0  # pixels around a label without a line in which there may be no other dot, or it could be that one's
LED = 10.0  # pixels from which on a line leads from the label to its dot


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.bottom <= other.top or other.bottom <= self.top)

    def holds(self, other: "Box") -> bool:
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Its point that is nearest to another."""
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    r: float

    def touches(self, box: Box, margin: float = 1.0) -> bool:
        x, y = box.nearest(self.x, self.y)
        return hypot(x - self.x, y - self.y) < self.r + margin


@dataclass(frozen=True)
class Label:
    """A place for a text, and the end of the line that leads to it, if one does."""

    box: Box
    lead: tuple[float, float] | None


def place(dots: Sequence[Dot], sizes: Sequence[tuple[float, float]], paper: Box, taken: Iterable[Box]) -> list[Label]:
    """A place for each dot's label, of a width and a height, inside the paper and off what is `taken`."""
    boxes, leads, labels = list(taken), list[Box](), []
    for dot, size in zip(dots, sizes, strict=True):
        others = [d for d in dots if d is not dot]
        label = next((c for c in candidates(dot, size) if free(c, dot, others, paper, boxes, leads)), None)
        label = label or next(candidates(dot, size))
        boxes.append(label.box)
        leads.extend(points_on(dot, label))
        labels.append(label)
    return labels


def candidates(dot: Dot, size: tuple[float, float]) -> Iterator[Label]:
    width, height = size
    for ring in RINGS:
        for angle in ANGLES:
            away = dot.r + GAP + ring
            x, y = dot.x + away * cos(angle * pi / 8), dot.y + away * sin(angle * pi / 8)
            left = x - width / 2 * (1 - cos(angle * pi / 8))  # a label at the left ends at its place
            top = y - height / 2 * (1 - sin(angle * pi / 8))
            box = Box(left, top, left + width, top + height)
            near = box.nearest(dot.x, dot.y)
            yield Label(box, near if hypot(near[0] - dot.x, near[1] - dot.y) > dot.r + LED else None)


def free(label: Label, dot: Dot, others: Sequence[Dot], paper: Box, boxes: Sequence[Box], leads: Sequence[Box]) -> bool:
    """Whether a label, and the line to it, are in nobody's way."""
    line, margin = points_on(dot, label), 1.0 if label.lead else ALONE
    crossed = [other for other in others if hypot(other.x - dot.x, other.y - dot.y) > other.r + dot.r]
    return (
        paper.holds(label.box)
        and not dot.touches(label.box)
        and not any(other.touches(label.box, margin) for other in others)
        and not any(other.touches(p) for other in crossed for p in line)
        and not any(box.overlaps(label.box) or any(box.overlaps(p) for p in line) for box in boxes)
        and not any(lead.overlaps(label.box) for lead in leads)
    )


def points_on(dot: Dot, label: Label) -> list[Box]:
    """The line to a label, as small boxes; none where none is drawn."""
    if label.lead is None:
        return []
    (x, y), n = label.lead, 12
    at = [(dot.x + (x - dot.x) * i / n, dot.y + (y - dot.y) * i / n) for i in range(1, n)]
    return [Box(a - 1, b - 1, a + 1, b + 1) for a, b in at if hypot(a - dot.x, b - dot.y) > dot.r]
