"""Where the boxes and edges of a graph go: rows from top to bottom, each node below everything that it reads.

An edge to the next row is a curve in the gap between the rows. A longer one goes straight down a lane of its own, the
nearest place that is free in all the rows it passes: so no edge can cross a box, and residual ones run round the side.
"""

from itertools import accumulate, chain
from typing import NamedTuple, TypeAlias

from microgpt_core.pipeline.preview.picture import Node

LINE, PAD = 16, 10  # height of a line of text; space between text and the sides of its box
BESIDE, BELOW = 40, 52  # space between boxes
FRAME, NAME = 12, 20  # space round the boxes of a group; above them, for its name
LANE, PORT, TIP = 26, 16, 8  # space beside a lane; between the edges into a box; length of their straight ends
LETTER = 7.3  # width of a letter of 12 pixels, in a font whose letters are all alike

Track: TypeAlias = list[tuple[float, float, float]]  # the stretches in which an edge is vertical: x, from y, to y


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float


def lay_out(nodes: list[Node]) -> tuple[list[Box], dict[str, Box], list[Track]]:
    """The boxes of the nodes, a frame for each group, and the edges, in the order of the nodes that they lead to."""
    row: list[int] = []  # the longest way to each node
    for node in nodes:
        row.append(max((row[a] + 1 for a, _ in node.reads), default=0))
    letters = max(len(text) for n in nodes for text in (f"{n.title} {n.part}", *n.notes))
    half = round(LETTER * letters / 2) + PAD
    x = columns(nodes, row, 2 * half + BESIDE)
    heights = [LINE * (1 + len(n.notes)) + PAD for n in nodes]
    tallest = [max(h for h, at in zip(heights, row) if at == r) for r in range(max(row) + 1)]
    tops = list(accumulate((h + BELOW for h in tallest), initial=0.0))  # of the rows
    boxes = [Box(mid - half, tops[r], mid + half, tops[r] + h) for mid, r, h in zip(x, row, heights)]
    return boxes, frames(nodes, boxes), route(nodes, row, x, boxes, tops)


def columns(nodes: list[Node], row: list[int], step: int) -> list[float]:
    """The middle of each box: below the calls that it reads, or the inputs, and beside the others of its row."""
    x = [0.0] * len(nodes)
    for r in range(max(row) + 1):
        wanted = []
        for i in (i for i, at in enumerate(row) if at == r):
            calls = [x[a] for a, _ in nodes[i].reads if nodes[a].kind == "call"]
            above = calls or [x[a] for a, _ in nodes[i].reads] or [0.0]
            wanted.append((sum(above) / len(above), i))
        wanted.sort()
        apart = list(accumulate((w for w, _ in wanted), lambda before, w: max(w, before + step)))
        too_far = (sum(apart) - sum(w for w, _ in wanted)) / len(wanted)
        for place, (_, i) in zip(apart, wanted):
            x[i] = place - too_far
    return x


def frames(nodes: list[Node], boxes: list[Box]) -> dict[str, Box]:
    """A frame round each group, unless a box of another stands in it."""
    found = {}
    for group in dict.fromkeys(n.group for n in nodes if n.group):
        left, top, right, bottom = zip(*(box for box, n in zip(boxes, nodes) if n.group == group))
        frame = Box(min(left) - FRAME, min(top) - NAME, max(right) + FRAME, max(bottom) + FRAME)
        if not any(overlap(box, frame) for box, n in zip(boxes, nodes) if n.group != group):
            found[group] = frame
    return found


def overlap(a: Box, b: Box) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom


def route(nodes: list[Node], row: list[int], x: list[float], boxes: list[Box], tops: list[float]) -> list[Track]:
    """Out of one box, down a lane where rows are passed, into the other box: for each node what it reads, from left."""
    tracks = []
    lanes: list[tuple[float, set[int]]] = []  # each with the rows that it passes
    for b, node in enumerate(nodes):
        sources = sorted((a for a, _ in node.reads), key=lambda a: x[a])
        for port, a in enumerate(sources):
            end = x[b] + PORT * (port - (len(sources) - 1) / 2)
            track = [(x[a], boxes[a].bottom, tops[row[a] + 1] - BELOW), (end, tops[row[b]] - TIP, tops[row[b]])]
            if passed := set(range(row[a] + 1, row[b])):
                taken = [(box.left - LANE, box.right + LANE) for box, r in zip(boxes, row) if r in passed]
                taken += [(place - LANE, place + LANE) for place, rows in lanes if rows & passed]
                lanes.append((free_lane(x[a], x[b], taken), passed))
                track.insert(1, (lanes[-1][0], tops[row[a] + 1], tops[row[b]] - BELOW))
            tracks.append(track)
    return tracks


def free_lane(start: float, end: float, taken: list[tuple[float, float]]) -> float:
    """The free place for which an edge makes the smallest detour, and turns late; of two the left one."""
    free = (x for x in (start, end, *chain(*taken)) if not any(low < x < high for low, high in taken))
    return min(free, key=lambda x: (abs(x - start) + abs(x - end), abs(x - start), x))
