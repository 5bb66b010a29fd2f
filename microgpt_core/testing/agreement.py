"""Numbers as they should be: a kernel's are the reference's but for rounding, infinity and NaN go where they belong.

The reference is run in float64, which rounds a billion times less than float32. A sum of products may be off by 1e-6
(in float32) of the sum of their sizes, anything else by 1e-6 of the largest number in its buffer. Gradients pass
through more roundings, those of saved values too, and get four times as much; where they cancel to nearly nothing,
1e-6 of what they are made of, which is of size one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import inf, isfinite, nan

from microgpt_core.components import flat
from microgpt_core.testing.case import Case, copies, filled, numbers
from microgpt_core.testing.contract import where
from microgpt_core.testing.diagnosis import diagnose, index_of

PRODUCTS = ("linear", "matmul", "add", "sum", "mean")  # every result a sum of products of inputs
SPREADS = ("attention",)  # a hidden score times NaN is NaN, where the reference doesn't look at all
TOLERANCE = {"f": 1e-6, "d": 1e-12}
SMALLEST = {"f": 1.2e-38, "d": 2.3e-308}  # below these a native backend may flush to zero
DENORMAL = {"f": 1e-45, "d": 5e-324}
SPECIAL = (nan, inf, -inf, -0.0, 5e-324, 1e-45, 3e38, -3e38, 1e4)
SMALL = 1024  # bytes of the inputs that are tried with special numbers


def agrees_with_reference(case: Case) -> Iterator[str]:
    """A kernel's numbers are the reference's, but for rounding."""
    yield from compare(case, case.exact())


def special_numbers_agree(case: Case) -> Iterator[str]:
    """A kernel has infinity or NaN where the reference has, and nowhere else; denormals it may take for zero."""
    for name in special_inputs(case):
        for value in (nan, inf, -inf, -0.0, DENORMAL[case.format]):
            special = replace(case, inputs=copies(case.inputs))
            x = special.inputs[name]
            assert x is not None
            flat(x)[len(flat(x)) // 2] = value
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy's, of what is wanted here
                problems = list(compare(special, special.exact(), f" where {name} holds {value:g}"))
            if problems:
                yield from problems
                return


def lets_special_numbers_through(case: Case) -> Iterator[str]:
    """An op neither raises for infinity, NaN or denormals, nor hides a NaN."""
    for name, value in product(special_inputs(case), SPECIAL):
        x = case.inputs[name]
        assert x is not None
        special = replace(case, inputs={**case.inputs, name: filled(x.shape, x.format, value)})
        for method in case.methods:
            try:
                after = special.bind(method).once().after
            except Exception as error:  # noqa: BLE001 - whatever an author's op raises
                what = f"{type(error).__name__}: {error}"
                yield f"{method} fails where {name} is {value:g}: {what} {where(case, method)}"
                return
            if value != value and method == "forward" and name in case.differentiable:
                for out in case.op.signature.outputs:
                    if not any(y != y for y in numbers(after[out])):
                        yield f"{out} hides that {name} is nan {where(case, method)}"


def special_inputs(case: Case) -> list[str]:
    """The inputs of a small case that may hold any float: no count of steps, no state with a meaning of its own."""
    small = all(b is None or b.nbytes <= SMALL for b in case.inputs.values())
    apart = {*case.op.integers, *case.op.mutates, "step"}
    return [n for n, b in case.inputs.items() if b is not None and n not in apart] if small else []


def compare(case: Case, exact: Case, given: str = "") -> Iterator[str]:
    """What a case's numbers have other than the exact case's."""
    for method in case.methods:
        run, expected = case.bind(method).once().after, exact.bind(method).once().after
        sizes = expected
        if case.op.name in PRODUCTS:
            sizes = exact.with_floats(abs, unsigned=True).bind(method).once().after
        for name in case.written(method):
            mine, true = numbers(run[name]), numbers(expected[name])
            scales = [abs(s) for s in numbers(sizes[name])]
            if case.op.name not in PRODUCTS:
                largest = max([s for s in scales if isfinite(s)], default=0.0)
                scales = [largest if method == "forward" else max(4.0 * largest, 1.0)] * len(true)
            allowed = [max(TOLERANCE[case.format] * s, SMALLEST[case.format]) for s in scales]
            spreads = bool(given) and case.op.name in SPREADS
            errors = [excess(m, t, a, spreads) for m, t, a in zip(mine, true, allowed)]
            if max(errors) > 1.0:
                at, buffer = errors.index(max(errors)), run[name]
                assert buffer is not None
                what = describe(mine, true, max(errors), case)
                example = f"{name}{index_of(at, buffer.shape)}: yours {mine[at]:.7g}, the reference's {true[at]:.7g}"
                yield f"{name} {what}{given} ({example}) {where(case, method)}"


def excess(mine: float, true: float, allowed: float, spreads: bool) -> float:
    """How many times too large an error is; 1 or less is right."""
    if isfinite(mine) and isfinite(true):
        return abs(mine - true) / allowed
    return 0.0 if isfinite(mine) == isfinite(true) or spreads and isfinite(true) else inf


def describe(mine: list[float], true: list[float], error: float, case: Case) -> str:
    """What is wrong in words: something regular, or how large an error is."""
    tolerance = TOLERANCE[case.format]
    measure = "the sum of what it adds up" if case.op.name in PRODUCTS else "the largest of them"
    irregular = f"is off by {error * tolerance:.1e} of {measure}, allowed {tolerance:g}"
    if error == inf:
        return "isn't finite in the same places"
    if not all(map(isfinite, (*mine, *true))):
        return irregular
    largest = max(map(abs, true))
    return diagnose(mine, true, lambda m, t: abs(m - t) <= 1e-4 * largest) or irregular
