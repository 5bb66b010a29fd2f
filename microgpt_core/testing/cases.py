"""What ops are tried on: the core's by this table, an author's by their `examples`, others by what their inputs are.

    class Gate(Op):
        examples = [{"x": (3, 5), "ids": ((3,), range(9)), "factor": 2.0}]

An example names inputs (a shape, numbers, or (shape, range(n)) for integers) and attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from microgpt_core.components import Op, Shape
from microgpt_core.errors import MicrogptError, SignatureError
from microgpt_core.testing.case import Case, make_case

Example: TypeAlias = Mapping[str, Any]

UPDATE = ("w", "grad", "factor", "lr", "step")  # the inputs of an op that moves a parameter
LIKE = {"attention": ("q", "k", "v"), "cross_entropy": ("logits", "targets")}  # by which inputs an op is like them
ONE = (1,)
# Odd, prime, of one, beyond a vector or a page; the first is the one that mistakes are described by.
SHAPES: tuple[Shape, ...] = ((3, 5), (7,), (2, 1, 11), ONE, (33, 67))
POSITIVE = [[0.5, 0.1, 2.0, 1.0, 0.3], [0.2, 0.7, 0.9, 1.1, 4.0], [3.0, 0.01, 0.4, 0.6, 0.8]]
PACKED = [[0, 1, 2, 0, 0, 1, 2], [0, 0, 1, 2, 3, 4, 5]]
MORE_POSITIVE = [[0.01 * (1 + (3 * i + 7 * j) % 50) for j in range(67)] for i in range(33)]
WIDE = (-60.3, -12.7, 12.7, 60.3)  # where formulas have their other branch; exp of twice the last is no float32
MANY = list(range(33))
BIG = (512, 257)


def state(shape: Shape, *names: str, **attributes: Any) -> Example:
    """An update's inputs."""
    one = {"factor": [0.5], "lr": [0.1], "step": [3.0]}
    return dict.fromkeys(("w", "grad"), shape) | one | dict.fromkeys(names, shape) | attributes


def every(*names: str, **attributes: Any) -> list[Example]:
    """Inputs of one shape, in all shapes."""
    return [dict.fromkeys(names, shape) | attributes for shape in SHAPES]


def heads(q: Shape, k: Shape = (), **others: Any) -> Example:
    """Attention's inputs."""
    return {"q": q, "k": k or q, "v": k or q} | others


ACTIVATIONS = ("relu", "relu2", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh")
TABLE: dict[str, list[Example]] = {
    "add": [*every("a", "b"), {"a": (2, 3, 7), "b": (7,)}, {"a": (2, 3, 7), "b": (3, 7)}],
    "sub": every("a", "b"),
    "mul": every("a", "b"),
    "scale": every("x", factor=-2.5),
    "sum": every("x"),
    "mean": every("x"),
    **{name: [*every("x"), *({"x": [x]} for x in WIDE)] for name in ACTIVATIONS},
    "softmax": [*every("x"), {"x": [list(WIDE)]}],
    "swiglu": every("x", "gate"),
    "matmul": [{"a": (3, 5), "b": (5, 7)}, {"a": (1, 1), "b": (1, 1)}, {"a": (17, 67), "b": (67, 33)}],
    "linear": [
        {"x": (3, 5), "weight": (7, 5)},
        {"x": (2, 3, 5), "weight": (7, 5), "bias": (7,)},
        {"x": (5,), "weight": (1, 5), "bias": ONE},
        {"x": (17, 67), "weight": (33, 67), "bias": (33,)},
    ],
    "rmsnorm": [
        {"x": (3, 5)},
        {"x": (2, 3, 7), "weight": (7,)},
        {"x": (5,), "weight": (5,), "eps": 0.1},
        {"x": (3, 1), "weight": ONE},
        {"x": (33, 67), "weight": (67,)},
    ],
    "layernorm": [
        {"x": (3, 5)},
        {"x": (2, 3, 7), "weight": (7,), "bias": (7,)},
        {"x": (5,), "bias": (5,), "eps": 0.1},
        {"x": (3, 1), "weight": ONE},
        {"x": (33, 67), "weight": (67,), "bias": (67,)},
    ],
    "rope": [
        {"x": (2, 3, 12), "positions": [[0, 1, 2], [5, 0, 300]], "n_head": 3},
        {"x": (1, 1, 2), "positions": [[7]], "n_head": 1, "theta": 100.0},
        {"x": (1, 33, 66), "positions": [MANY], "n_head": 3},
    ],
    "sinusoidal": [
        {"x": (2, 3, 5), "positions": [[0, 1, 2], [5, 0, 300]]},
        {"x": (1, 33, 67), "positions": [MANY]},
    ],
    "dropout": [
        {"x": (2, 3, 5), "noise": [1, 2, 3], "p": 0.4, "stream": 7},
        {"x": (3,), "noise": [-1, 0, 0], "p": 0.0},
        {"x": (33, 67), "noise": [1, 2, 3], "p": 0.1},
    ],
    "embedding": [
        {"ids": [[0, 2, 2], [6, 1, 2]], "weight": (7, 5)},
        {"ids": [0], "weight": (1, 1)},
        {"ids": ((33,), range(17)), "weight": (17, 67)},
    ],
    "attention": [
        heads((2, 7, 6), n_head=3),
        heads((1, 8, 4), n_head=2),
        heads((1, 1, 1), n_head=1),
        heads((2, 7, 5), n_head=1, positions=PACKED),
        heads((2, 2, 6), (2, 7, 6), n_head=2, start=[5, 2]),
        heads((1, 5, 12), (1, 5, 6), n_head=4),
        heads((2, 7, 6), (2, 7, 2), n_head=3, positions=PACKED, window=3),
        heads((1, 67, 2), (1, 67, 1), n_head=2, window=65),
        heads((1, 3, 2), (1, 131, 2), n_head=1, start=[127]),
    ],
    "cross_entropy": [
        {"logits": (4, 7), "targets": [0, 6, 3, 3]},
        {"logits": (2, 3, 5), "targets": [[0, -1, 4], [2, 2, -1]], "label_smoothing": 0.1},
        {"logits": (4, 7), "targets": [0, -1, 3, 3], "scale": [0.125]},
        {"logits": (2, 1), "targets": [0, 0]},
        {"logits": (33, 67), "targets": ((33,), range(67))},
    ],
    "sample": [
        {"logits": (3, 5), "chance": [5, 2**30, 2**31 - 1]},
        {"logits": (2, 3, 7), "chance": [[9, 2**29, 3 * 2**29], [7, 2**30, 5]], "temperature": 0.7, "top_k": 3},
        {"logits": (4, 11), "chance": ((4,), range(2**31)), "temperature": 1.3, "top_p": 0.8},
        {"logits": [[1.0, 2.0, 2.0, 1.0, 2.0]] * 3, "chance": [0, 2**30, 2**31 - 1], "top_k": 4, "top_p": 0.9},
        {"logits": (3, 5), "chance": [1, 2, 3], "temperature": 0.0},
        {"logits": (2, 1), "chance": [0, 2**31 - 1], "top_k": 1},
        {"logits": (33, 67), "chance": ((33,), range(2**31)), "temperature": 0.8, "top_k": 40, "top_p": 0.9},
        {"logits": (33, 67), "chance": ((33,), range(2**31))},
    ],
    "global_norm": every("grads"),
    "clip_factor": [{"norm": [4.0], "max_norm": 1.0}, {"norm": [0.5], "max_norm": 1.0}],
    "ones_like": every("x"),
    "zero": every("x"),
    "cache_write": [
        {"cache": (2, 7, 3), "x": (2, 2, 3), "start": [5, 0]},
        {"cache": (1, 67, 33), "x": (1, 33, 33), "start": [34]},
    ],
    "sgd_update": [
        state((3, 5)),
        state((3, 5), "m", momentum=0.9),
        state((33, 67), "m", momentum=0.9, nesterov=True),
    ],
    "adam_update": [state((3, 5), "m", v=POSITIVE), state(ONE, "m", v=[0.2]), state((33, 67), "m", v=MORE_POSITIVE)],
    "adamw_update": [
        state((3, 5), "m", v=POSITIVE, weight_decay=0.1),
        state(ONE, "m", v=[0.2]),
        state((33, 67), "m", v=MORE_POSITIVE, weight_decay=0.1),
    ],
}


# What shows whether a kernel takes memory for whole arrays: more than a library's own buffers. Others are guessed.
LARGEST: dict[str, Example] = {
    "matmul": {"a": BIG, "b": (257, 129)},
    "linear": {"x": BIG, "weight": (129, 257), "bias": (129,)},
    "rope": {"x": (2, 256, 258), "positions": [list(range(256))] * 2, "n_head": 3},
    "sinusoidal": {"x": (2, 256, 257), "positions": [list(range(256))] * 2},
    "dropout": {"x": BIG, "noise": [1, 2, 3], "p": 0.1},
    "embedding": {"ids": ((512,), range(512)), "weight": BIG},
    "attention": heads((2, 512, 66), n_head=3),
    "cross_entropy": {"logits": BIG, "targets": ((512,), range(257))},
    "sample": {"logits": BIG, "chance": ((512,), range(2**31)), "top_k": 40, "top_p": 0.9},
    "clip_factor": TABLE["clip_factor"][0],
    "scale": {"x": BIG, "factor": 2.0},
    "cache_write": {"cache": (1, 1024, 257), "x": (1, *BIG), "start": [17]},
}


def cases_of(op: Op, format: str = "d", shift: int = 0, examples: Sequence[Example] = ()) -> list[Case]:
    """What to try an op on, in a number format. Raises SignatureError where its inputs can't be guessed."""
    return [replace(case_of(op, example, format), shift=shift) for example in examples or examples_of(op)]


def case_of(op: Op, example: Example, format: str = "d") -> Case:
    """An example's names are those of inputs, or else of attributes."""
    inputs = {n: x for n, x in example.items() if n in op.signature.inputs}
    return make_case(op, inputs, {n: x for n, x in example.items() if n not in inputs}, format)


def examples_of(op: Op) -> Sequence[Example]:
    if known := getattr(op, "examples", None) or TABLE.get(op.name):
        return known
    guessed = guess(op)
    try:
        for example in guessed:
            case_of(op, example).bind_forward()
    except MicrogptError as error:
        given = {n: "((3,), range(9))" if n in op.integers else "(3, 5)" for n in op.signature.inputs}
        sizes = ", ".join(f"{n!r}: {shape}" for n, shape in given.items())
        raise SignatureError(f"{error}; say it in the class: examples = [{{{sizes}}}]") from error
    return guessed


def large_example(op: Op) -> Example:
    """The case in which to look at a kernel's memory."""
    if known := LARGEST.get(op.name):
        return known
    return largest(op, getattr(op, "examples", None) or guess(op, large=True))


def largest(op: Op, examples: Sequence[Example]) -> Example:
    return max(examples, key=lambda example: case_of(op, example).nbytes)


def guess(op: Op, large: bool = False) -> list[Example]:
    """By the names of the inputs, as slots and optimizers have them; otherwise all of one shape."""
    inputs, optional = op.signature.inputs, op.signature.optional
    for name, first in LIKE.items():
        if inputs[: len(first)] == first:
            known = [LARGEST[name]] if large else TABLE[name]
            plain = [e for e in known if set(e) <= {*first, "n_head"} and e.get("k") == e.get("q")]
            return [{n: x for n, x in e.items() if n in (*inputs, *op.signature.attributes)} for e in plain]
    if inputs[: len(UPDATE)] == UPDATE:
        held = {BIG: [[0.5] * BIG[1]] * BIG[0]} if large else {(3, 5): POSITIVE, (33, 67): MORE_POSITIVE}
        return [state(shape, **dict.fromkeys(inputs[len(UPDATE) :], numbers)) for shape, numbers in held.items()]
    required = [n for n in inputs if n not in optional]
    every_input = [n for n in inputs if n in (*required, "weight", "bias", "gate")]
    shaped: list[Example] = [
        {n: shape[-1:] if n in ("weight", "bias") else shape for n in names}
        for names in dict.fromkeys((tuple(required), tuple(every_input)))
        for shape in ((BIG,) if large else SHAPES)
    ]
    return shaped if large else [*shaped, *further(op, shaped[0])]


def further(op: Op, example: Example) -> Iterator[Example]:
    """Numbers beyond the usual ones where there is one input, and settings other than the defaults."""
    if len(op.signature.inputs) == 1 and not op.integers:
        yield from ({op.signature.inputs[0]: [x]} for x in WIDE)
    defaults = op.signature.attributes.items()
    others = {n: not d if isinstance(d, bool) else 1.25 * d or 0.5 for n, d in defaults if isinstance(d, (bool, float))}
    try:
        if others:
            case_of(op, {**example, **others}).bind_forward().run()
            yield {**example, **others}
    except (ValueError, ArithmeticError):
        return  # what they may be, the op alone knows
