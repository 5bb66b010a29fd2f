"""Pictures of a block: every call is there once, boxes never overlap, edges never cross a box, names are escaped.

What is checked is the DOT and the SVG as written, by a reader for each; every check has pictures that it must refuse.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import combinations
from operator import mul
from random import Random
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.engine.plan import Plan
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.preview.forecast import forecast
from microgpt_core.pipeline.preview.picture import Node, graph_of
from microgpt_core.pipeline.preview.picture_dot import to_dot
from microgpt_core.pipeline.preview.picture_svg import to_svg
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.plugins.loader import load

REGISTRY = load(builtin)
SVG = "{http://www.w3.org/2000/svg}"
X = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
ODD = 'a "quoted" \\name\\ <of> & one'


@cache
def plan(*overrides: str) -> Plan:
    return forecast(read_pipeline("names", REGISTRY, overrides), REGISTRY, 27, "packed").micro


def toy(function: Callable[[Any], Any]) -> Plan:
    def scoped(x: Any) -> Any:
        with mg.scope("toy"):
            y = function(x)
        return ops.sum(y)

    return mg.plan_of(scoped, X)


def within(name: str, function: Callable[..., Any], *inputs: Any) -> Any:
    with mg.scope(name):
        return function(*inputs)


def parallel(x: Any) -> Any:
    """Three branches of different lengths, whose sums skip rows on both sides."""
    a = within("a", lambda: ops.relu(ops.relu(ops.relu(x))))
    b = within("b", lambda: ops.relu(ops.relu(x)))
    return x + (a + (b + ops.relu(x)))


def odd(x: Any) -> Any:
    return within(ODD, lambda: ops.relu(within(ODD, ops.relu, x)))


def interrupted(x: Any) -> Any:
    """A group with a call of another between its own."""
    return within("a", ops.relu, ops.softmax(within("a", ops.relu, x)))


CASES = {
    "names": (plan(), "block.0"),
    "llama": (plan("model.preset=llama-tiny"), "block.0"),
    "gpt2": (plan("model.preset=gpt2", "model.n_layer=2", "model.n_embd=24"), "block.1"),
    "post-norm": (plan("model.norm_placement=post", "model.position=rope", "model.bias=true"), "block.0"),
    "dropout": (plan("model.dropout=0.1"), "block.0"),
    "recomputed": (plan("model.n_layer=2", "train.recompute=1"), "block.0"),
    "all blocks": (plan("model.preset=llama-tiny", "model.n_layer=2"), "block"),
    "attention": (plan("model.preset=llama-tiny"), "block.0.attention"),
    "one call": (plan(), "lm_head"),
    "parallel": (toy(parallel), "toy"),
    "interrupted": (toy(interrupted), "toy"),
    "odd names": (toy(odd), "toy"),
    "the same twice": (toy(lambda x: ops.mul(y := ops.relu(x), y)), "toy"),
    "several outputs": (mg.plan_of(lambda x: within("toy", lambda: (ops.relu(x), ops.softmax(x))), X), "toy"),
}
cases = pytest.mark.parametrize(("plan", "scope"), CASES.values(), ids=CASES)


class Drawing(NamedTuple):
    """What a picture shows: the lines of text in each box, edges between boxes, and the boxes in each group."""

    boxes: list[list[str]]
    edges: Counter[tuple[int, int]]
    groups: dict[str, list[int]]


def meant(nodes: list[Node]) -> Drawing:
    """What a graph's picture has to show."""
    groups: dict[str, list[int]] = {}
    for i, node in enumerate(nodes):
        groups.setdefault(node.group, []).append(i)
    groups.pop("", None)
    boxes = [[f"{n.title} {n.part}".strip(), *n.notes] for n in nodes]
    return Drawing(boxes, Counter((a, b) for b, n in enumerate(nodes) for a, _ in n.reads), groups)


def read_dot(text: str) -> Drawing:
    """DOT as Graphviz reads it, as far as ours goes. Raises ValueError for anything else."""
    string = r'"(?:[^"\\]|\\.)*"'
    node = re.compile(rf"n(\d+) \[label=({string}), fillcolor=\w+\];")
    cluster = re.compile(rf"subgraph {string} \{{ label=({string}); (.*) \}}")
    edge = re.compile(rf"n(\d+) -> n(\d+) \[label={string}\];")
    setting = re.compile(rf"(graph|node|edge) \[\w+=(\w+|{string})(, \w+=(\w+|{string}))*\];")
    first, *lines, last = text.split("\n")
    if not re.fullmatch(rf"digraph {string} \{{", first) or last != "}":
        raise ValueError("no digraph")
    drawing = Drawing([], Counter(), {})
    for line in map(str.strip, lines):
        group, statement = ("", line) if not (found := cluster.fullmatch(line)) else found.groups()
        if found := node.fullmatch(statement):
            if int(found[1]) != len(drawing.boxes):
                raise ValueError(f"n{found[1]} is out of place")
            if group:
                drawing.groups.setdefault("".join(unquoted(group)), []).append(len(drawing.boxes))
            drawing.boxes.append(unquoted(found[2]))
        elif found := edge.fullmatch(statement):
            drawing.edges[int(found[1]), int(found[2])] += 1
        elif not setting.fullmatch(statement):
            raise ValueError(f"not understood: {statement}")
    if any(i >= len(drawing.boxes) for ends in drawing.edges for i in ends):
        raise ValueError("an edge without a node")
    return drawing


def unquoted(string: str) -> list[str]:
    lines = re.split(r"(?<!\\)((?:\\\\)*)\\n", string[1:-1])  # a \n after an even number of \
    joined = [a + b for a, b in zip(lines[::2], [*lines[1::2], ""])]
    return [re.sub(r"\\(.)", r"\1", line) for line in joined]


class Rect(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def holds(self, x: float, y: float, slack: float = 0.01) -> bool:
        """Whether the point is inside, and not on the outline."""
        return self.left + slack < x < self.right - slack and self.top + slack < y < self.bottom - slack

    def meets(self, other: "Rect") -> bool:
        sideways = self.left < other.right and other.left < self.right
        return sideways and self.top < other.bottom and other.top < self.bottom


class Picture:
    """An SVG file, read back."""

    def __init__(self, text: str) -> None:
        self.root = ElementTree.fromstring(text)
        self.boxes = self.rects("call", "input", "output")
        self.frames = self.rects("frame")
        edges = [p.attrib["d"] for p in self.root.iter(f"{SVG}path") if p.get("class") == "edge"]
        self.paths = [points(d) for d in edges]
        self.lanes = [tuple(map(float, lane)) for d in edges for lane in re.findall(r" (\S+) (\S+)V(\S+)C", d)]
        texts = [(float(t.attrib["x"]), float(t.attrib["y"]), t) for t in self.root.iter(f"{SVG}text")]
        self.texts = [[t.text or "" for x, y, t in texts if box.holds(x, y)] for box in self.boxes]
        self.names = [t.text or "" for _, _, t in texts if t.get("class") == "group"]

    def rects(self, *classes: str) -> list[Rect]:
        found = []
        for rect in self.root.iter(f"{SVG}rect"):
            if rect.get("class") in classes:
                x, y, width, height = (float(rect.attrib[n]) for n in ("x", "y", "width", "height"))
                found.append(Rect(x, y, x + width, y + height))
        return found

    def wrong(self) -> Iterator[str]:
        """Boxes that overlap, edges that share a lane, go through a box, or begin or end in the open."""
        for a, b in combinations(range(len(self.boxes)), 2):
            if self.boxes[a].meets(self.boxes[b]):
                yield f"boxes {a} and {b} overlap"
        for (x1, y1, end1), (x2, y2, end2) in combinations(self.lanes, 2):
            if abs(x1 - x2) < 10 and y1 < end2 and y2 < end1:
                yield f"two edges in the lane at {x1}"
        for i, path in enumerate(self.paths):
            for b, box in enumerate(self.boxes):
                if any(box.holds(x, y) for x, y in path):
                    yield f"edge {i} crosses box {b}"
            if None in self.ends(path):
                yield f"edge {i} doesn't join two boxes"

    def ends(self, path: list[tuple[float, float]]) -> tuple[int | None, int | None]:
        """The box at whose bottom a path begins, and the one at whose top it ends."""
        (x1, y1), (x2, y2) = path[0], path[-1]
        start = [i for i, b in enumerate(self.boxes) if b.left < x1 < b.right and abs(b.bottom - y1) < 0.01]
        end = [i for i, b in enumerate(self.boxes) if b.left < x2 < b.right and abs(b.top - y2) < 0.01]
        return (start[0] if start else None, end[0] if end else None)


def points(d: str) -> list[tuple[float, float]]:
    """Points on a path of M, V and C, a few pixels apart at most."""
    found: list[tuple[float, float]] = []
    for letter, rest in re.findall(r"([MVC])([^MVC]+)", d):
        numbers = [float(n) for n in rest.split()]
        if letter == "M":
            found.append((numbers[0], numbers[1]))
            continue
        (x, y), steps = found[-1], 200
        if letter == "V":
            numbers = [x, y, x, numbers[0], x, numbers[0]]
        across, down = (x, *numbers[::2]), (y, *numbers[1::2])
        for t in (i / steps for i in range(1, steps + 1)):
            weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
            found.append((sum(map(mul, weights, across)), sum(map(mul, weights, down))))
    return found


@cases
def test_every_forward_call_is_a_node(plan: Plan, scope: str) -> None:
    forward = [c for c in plan.calls if c.method == "forward" and not c.again and c.op.name != "zero"]
    expected = Counter(
        (c.op.name, f"{c.flops:,} FLOPs") for c in forward if c.scope == scope or c.scope.startswith(f"{scope}.")
    )
    assert Counter((n.title, n.notes[-1]) for n in graph_of(plan, scope) if n.kind == "call") == expected


@cases
def test_the_dot_shows_the_graph(plan: Plan, scope: str) -> None:
    nodes = graph_of(plan, scope)
    assert read_dot(to_dot(nodes, scope)) == meant(nodes)


@cases
def test_the_svg_shows_the_graph(plan: Plan, scope: str) -> None:
    nodes = graph_of(plan, scope)
    picture, expected = Picture(to_svg(nodes, scope)), meant(nodes)
    assert not list(picture.wrong())
    assert Counter(picture.ends(path) for path in picture.paths) == expected.edges
    assert [sorted(texts) for texts in picture.texts] == [
        sorted(filter(None, (n.title, n.part, *n.notes))) for n in nodes
    ]
    for frame, name in zip(picture.frames, picture.names, strict=True):
        assert [i for i, box in enumerate(picture.boxes) if box.meets(frame)] == expected.groups[name]


@pytest.mark.parametrize("seed", range(20))
def test_any_graph_can_be_drawn(seed: int) -> None:
    rng = Random(seed)
    nodes = [Node("input", "x", ["(1,)"], []), Node("input", "y", [], [])]
    for i in range(rng.randint(1, 25)):
        notes = ["0 FLOPs"] * rng.randint(1, 5)
        reads = [(rng.randrange(max(0, len(nodes) - 9), len(nodes)), "(1,)") for _ in range(rng.randint(1, 4))]
        nodes.append(Node("call", "op", notes, reads, rng.choice(["", "a", "b"]), f"part{i}"))
    picture = Picture(to_svg(nodes, "any"))
    assert not list(picture.wrong())
    assert Counter(picture.ends(path) for path in picture.paths) == meant(nodes).edges
    assert read_dot(to_dot(nodes, "any")) == meant(nodes)


def test_the_svg_can_be_heard() -> None:
    svg = Picture(to_svg(graph_of(plan(), "block.0"), "block.0")).root
    assert svg.get("role") == "img"
    named = {element.get("id"): element.text or "" for element in svg if element.get("id")}
    assert set((svg.get("aria-labelledby") or "").split()) <= set(named)
    assert "block.0" in named["title"]
    assert "mlp fc2 linear reads mlp relu2 (1, 64, 64)" in named["about"]


def test_what_is_recomputed_is_drawn_once() -> None:
    again = plan("model.n_layer=2", "train.recompute=1")
    assert any(c.again for c in again.calls)
    assert graph_of(again, "block.0") == graph_of(plan("model.n_layer=2"), "block.0")


def test_the_nodes_of_a_graph() -> None:
    weight = mg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    before = mg.tensor([[1.0, 2.0]])

    def net(x: Any, ids: Any) -> Any:
        x = within("first", ops.relu, x)
        with mg.scope("second"):
            y = ops.linear(within("up", ops.relu, x), weight)
            z = within("up", lambda: ops.linear(ops.relu(y), weight, None)) if y.shape[-1] == 2 else ops.relu(y)
        return ops.sum(z) + ops.sum(y)

    found = graph_of(mg.plan_of(net, before, before), "second")
    assert found == [
        Node("input", "first.relu.out", ["(1, 2)"], []),
        Node("call", "relu", ["gives (1, 2)", "2 FLOPs"], [(0, "(1, 2)")], "", "up"),
        Node("call", "linear", ["weight (3, 2)", "gives (1, 3)", "12 FLOPs"], [(1, "(1, 2)")]),
        Node("call", "relu", ["gives (1, 3)", "3 FLOPs"], [(2, "(1, 3)")]),
        Node("output", "second.linear.out", ["(1, 3)"], [(2, "(1, 3)")]),
        Node("output", "second.relu.out", ["(1, 3)"], [(3, "(1, 3)")]),
    ]


def test_what_a_plan_returns_leaves_its_scope() -> None:
    kinds = [node.kind for node in graph_of(*CASES["several outputs"])]
    assert kinds == ["input", "call", "call", "output", "output"]


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("blok.0", "scope: found 'blok.0' (did you mean 'block.0'?)"),
        ("block.0.atention", "(did you mean 'block.0.attention'?)"),
        ("block.1", "allowed: wte, wpe, "),
        ("", "block, block.0, "),
    ],
)
def test_a_scope_without_calls_is_refused(scope: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        graph_of(plan(), scope)
    assert said in str(error.value)
    assert "block.0.attention.q" not in str(error.value)  # the whole list would be long


def test_an_interrupted_group_has_no_frame() -> None:
    nodes = graph_of(*CASES["interrupted"])
    assert meant(nodes).groups == {"a": [1, 3]}
    assert not Picture(to_svg(nodes, "toy")).frames


@pytest.mark.parametrize(
    ("pattern", "bug", "said"),
    [
        (r'(class="call" [^>]* height=")\d+', r"\g<1>400", "overlap"),
        (r'(class="input" x=")[^"]+', r"\g<1>0", "overlap"),
        (r'd="(M[^"V]+)V[^"]+C[^"]+C[^"]+(V[^"V]+)"', r'd="\1\2"', "crosses"),  # a residual edge straight down
        (r"(C\S+ \S+ \S+ \S+) \S+( \S+V\S+C)", r"\1 0\2", "in the lane"),
        (r'edge" d="M\S+', 'edge" d="M999', "doesn't join"),
        (r'(class="edge" d="[^"]+)V[^"V]+"', r'\1"', "doesn't join"),
    ],
)
def test_a_bad_layout_is_found(pattern: str, bug: str, said: str) -> None:
    svg = to_svg(graph_of(plan(), "block.0"), "block.0")
    bad, count = re.subn(pattern, bug, svg)
    assert count
    assert not list(Picture(svg).wrong())
    assert any(said in wrong for wrong in Picture(bad).wrong())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n3 [label=", "n4 [label="),
        (" -> n3 ", " -> n33 "),
        ('[label="add', '[label="add"'),
        ("\n}", "\n"),
        ("linear q", "linear k"),
        ('label="attention"', 'label="mlp"'),
        (" -> n1 ", " -> n2 "),
    ],
)
def test_bad_dot_is_found(old: str, new: str) -> None:
    nodes = graph_of(plan(), "block.0")
    dot = to_dot(nodes, "block.0")
    assert old in dot
    with suppress(ValueError):
        assert read_dot(dot.replace(old, new, 1)) != meant(nodes)
