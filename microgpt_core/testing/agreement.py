"""Numbers as they should be: a kernel's are the reference's but for rounding, infinity and NaN go where they belong.

The reference is run in float64, which rounds a billion times less than float32. A sum of products may be off by 1e-6
(in float32, and unless the op has another tolerance) of the sum of their sizes, anything else by 1e-6 of the largest
number in its row, and by what comes of it where all that it is computed from, saved values too, is off by 1e-6 of
itself: a difference of two large numbers that is nearly nothing, such as the gradient of a norm's row, can't be better
than they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import copysign, inf, isfinite, nan
from random import Random

from microgpt_core import ops
from microgpt_core.components import Buffer, Op, flat, write
from microgpt_core.testing.case import Bound, Buffers, Case, copies, filled, numbers
from microgpt_core.testing.contract import where
from microgpt_core.testing.diagnosis import diagnose, index_of

PRODUCTS = ("linear", "matmul", "add", "sum", "mean")  # every result a sum of products of inputs
# A hidden score times NaN is NaN where one looks at it, in forward the reference doesn't, in backward a kernel needn't.
SPREADS = ("attention",)
NUDGE = 1e-6  # of a number in float64: how rounding acts is measured by it
SMALLEST = {"f": 1.2e-38, "d": 2.3e-308}  # below these a native backend may flush to zero
EPSILON = 2.3e-16  # of the largest number in a call: more the reference itself doesn't know
MOST = {"f": 3.4028236e38, "d": inf}
DENORMAL = {"f": 1e-45, "d": 5e-324}
LARGE = 1e4  # beyond what exp takes
SPECIAL = (nan, inf, -inf, -0.0, 5e-324, 1e-45, 3e38, -3e38, LARGE, -LARGE)
SMALL = 1024  # bytes of the inputs that are tried with special numbers


def agrees_with_reference(case: Case) -> Iterator[str]:
    """A kernel's numbers are the reference's, but for rounding."""
    yield from compare(case, case.exact())


def special_numbers_agree(case: Case) -> Iterator[str]:
    """A kernel has infinity or NaN where the reference has, and nowhere else; denormals it may take for zero."""
    for name in special_inputs(case):
        for value in (nan, inf, -inf, -0.0, DENORMAL[case.format]):
            special = holding(case, name, value)
            ordinary = [holding(case, name, x).exact() for x in (0.0, 1.0)] if spreads_nan(case.op) else []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy's, of what is wanted here
                problems = list(compare(special, special.exact(), f" where {name} holds {value:g}", ordinary))
            if problems:
                yield from problems
                return


def spreads_nan(op: Op) -> bool:
    return op.name in SPREADS or isinstance(op, type(ops.attention))


def holding(case: Case, name: str, value: float) -> Case:
    """The case with a number in the middle of an input."""
    special = replace(case, inputs=copies(case.inputs))
    x = special.inputs[name]
    assert x is not None
    flat(x)[len(flat(x)) // 2] = value
    return special


def lets_special_numbers_through(case: Case) -> Iterator[str]:
    """An op neither raises for infinity, NaN or denormals, nor hides a NaN, nor makes one of what is only large."""
    for name, value in product(special_inputs(case), SPECIAL):
        for method in case.methods:
            try:
                after = given(case, name, value, method)
            except Exception as error:  # noqa: BLE001 - whatever an author's op raises
                what = f"{type(error).__name__}: {error}"
                yield f"{method} fails where {name} is {value:g}: {what} {where(case, method)}"
                return
            if method == "backward" or name not in case.differentiable:
                continue
            for out in case.op.signature.outputs:
                if value != value and not holds_nan(after[out]) and depends(case, out, name):
                    yield f"{out} hides that {name} is nan {where(case, method)}"
                bounded = abs(value) == LARGE and holds_nan(given(case, name, copysign(2.0, value), method)[out])
                if abs(value) == LARGE and holds_nan(after[out]) and not bounded:
                    yield f"{out} is nan where {name} is {value:g} {where(case, method)}"


def depends(case: Case, out: str, name: str) -> bool:
    """Whether other ordinary numbers of an input make another output: of several, one may not read it at all.

    A norm makes nothing else of numbers that are all half as large, nor of one that stands alone.
    """
    x, made = case.inputs[name], []
    assert x is not None
    for values in (numbers(x), numbers(x)[::-1], [0.5 * v for v in numbers(x)]):
        other = filled(x.shape, x.format, 0.0)
        write(other, values)
        made.append(numbers(replace(case, inputs={**case.inputs, name: other}).bind("forward").once().after[out]))
    return any(result != made[0] for result in made[1:])


def given(case: Case, name: str, value: float, method: str) -> Buffers:
    """What a method leaves in its buffers where an input is full of one number."""
    x = case.inputs[name]
    assert x is not None
    special = replace(case, inputs={**case.inputs, name: filled(x.shape, x.format, value)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of what is wanted here
        return special.bind(method).once().after


def holds_nan(buffer: Buffer | None) -> bool:
    return any(x != x for x in numbers(buffer))


def special_inputs(case: Case) -> list[str]:
    """The inputs of a small case that may hold any float: no count of steps, no state with a meaning of its own."""
    small = all(b is None or b.nbytes <= SMALL for b in case.inputs.values())
    apart = {*case.op.integers, *case.op.mutates, "step"}
    return [n for n, b in case.inputs.items() if b is not None and n not in apart] if small else []


def compare(case: Case, exact: Case, place: str = "", ordinary: Sequence[Case] = ()) -> Iterator[str]:
    """What a case's numbers have other than the exact case's.

    Where `ordinary` cases, with other numbers in that place, all agree on a result, it doesn't depend on that number:
    a kernel may have theirs instead of the exact case's NaN.
    """
    for method in case.methods:
        run, expected = case.bind(method).once().after, exact.bind(method).once().after
        smooth = case.unrounded() if case.op.rounds else exact  # a nudge may tip a rounded number over
        sizes = sizes_of(smooth, method, smooth.bind(method).once().after if case.op.rounds else expected)
        beside = [abs(x) for b in expected.values() for x in numbers(b) if isfinite(x)]
        least = case.tolerance if place else max(EPSILON * max(beside, default=0.0), SMALLEST[case.format])
        for name in case.written(method):
            mine, buffer, most = numbers(run[name]), run[name], MOST[case.format]
            true = [t if not abs(t) > most else copysign(inf, t) for t in numbers(expected[name])]
            assert buffer is not None
            allowed = [max(case.tolerance * size, least) for size in sizes[name]]
            spreads = bool(place) and spreads_nan(case.op)
            errors = [excess(m, t, a, spreads) for m, t, a in zip(mine, true, allowed)]
            if ordinary:
                errors = beside_ordinary(case, errors, mine, ordinary, method, name)
            if max(errors) > 1.0:
                at = errors.index(max(errors))
                what = describe(mine, true, max(errors), case)
                example = f"{name}{index_of(at, buffer.shape)}: yours {mine[at]:.7g}, the reference's {true[at]:.7g}"
                yield f"{name} {what}{place} ({example}) {where(case, method)}"


def beside_ordinary(
    case: Case, errors: list[float], mine: list[float], ordinary: Sequence[Case], method: str, name: str
) -> list[float]:
    """The errors; where a number should have been NaN, how far it is from those of the ordinary cases at most."""
    hidden = {i for i, error in enumerate(errors) if error == inf and isfinite(mine[i])}
    after = [(other, other.bind(method).once().after) for other in ordinary] if hidden else []
    found = [(numbers(made[name]), sizes_of(other, method, made)[name]) for other, made in after]
    return [
        max(excess(m, x[i], case.tolerance * max(s[i], 1.0), False) for x, s in found) if i in hidden else e
        for i, (e, m) in enumerate(zip(errors, mine))
    ]


def sizes_of(case: Case, method: str, after: Buffers) -> dict[str, list[float]]:
    """What a number's error is measured by."""
    return products(case, method) if case.op.name in PRODUCTS else rows_of(case, method, after)


def products(exact: Case, method: str) -> dict[str, list[float]]:
    """For each sum of products the sum of their sizes."""
    after = exact.with_floats(abs, unsigned=True).bind(method).once().after
    return {name: [abs(x) for x in numbers(b)] for name, b in after.items()}


def rows_of(exact: Case, method: str, expected: Buffers) -> dict[str, list[float]]:
    """For each number the largest of its row, and how much the row moves by as much as everything else does."""
    moved = [nudged(exact.bind(method), Random(seed)) for seed in range(3)]
    found = {}
    for name in exact.written(method):
        true, others = numbers(expected[name]), [numbers(m[name]) for m in moved]
        sizes = [max(abs(t), *(abs(o[i] - t) / NUDGE for o in others)) for i, t in enumerate(true)]
        n = expected[name].shape[-1]  # type: ignore[union-attr]
        largest = [max(filter(isfinite, sizes[i : i + n]), default=0.0) for i in range(0, len(sizes), n)]
        found[name] = [x for x in largest for _ in range(n)]
    return found


def nudged(bound: Bound, rng: Random) -> Buffers:
    """What a call makes of buffers whose every float is a little off, up or down."""
    for b in bound.buffers.values():
        if b is not None and b.format != "i":
            write(b, [x * (1.0 + rng.choice((-NUDGE, NUDGE))) for x in flat(b)])
    bound.run()
    return bound.buffers


def excess(mine: float, true: float, allowed: float, spreads: bool) -> float:
    """How many times too large an error is; 1 or less is right."""
    if isfinite(mine) and isfinite(true):
        return abs(mine - true) / allowed
    return 0.0 if isfinite(mine) == isfinite(true) or spreads and isfinite(true) else inf


def describe(mine: list[float], true: list[float], error: float, case: Case) -> str:
    """What is wrong in words: something regular, or how large an error is."""
    measure = "the sum of what it adds up" if case.op.name in PRODUCTS else "the largest of its row"
    irregular = f"is off by {error * case.tolerance:.1e} of {measure}, allowed {case.tolerance:g}"
    if error == inf:
        return "isn't finite in the same places"
    if not all(map(isfinite, (*mine, *true))):
        return irregular
    largest = max(map(abs, true))
    return diagnose(mine, true, lambda m, t: abs(m - t) <= 1e-4 * largest) or irregular
