"""The checks of ops, and of kernels beside the op that they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice

from microgpt_core.components import Backend, Kernel, Op
from microgpt_core.engine.backends import Kernels
from microgpt_core.testing.agreement import agrees_with_reference
from microgpt_core.testing.case import Case
from microgpt_core.testing.cases import Example, cases_of, large_example, largest
from microgpt_core.testing.contract import Rule
from microgpt_core.testing.history import allocates_nothing
from microgpt_core.testing.report import Check, NotTested
from microgpt_core.testing.rules import KERNEL_RULES, OP_RULES, found

LAYOUTS = (("f", 0), ("f", 1), ("d", 0))  # formats, and how many numbers buffers start after an aligned address


def op_checks(op: Op, component: str = "", examples: Sequence[Example] = ()) -> list[Check]:
    """The checks of an op: in float64, and how float32 compares to that."""
    label = component or f"op {op.name}"
    in_float64 = on_cases(label, OP_RULES, lambda: cases_of(op, "d", examples=examples))
    found = in_float64 + on_cases(label, [agrees_with_reference], lambda: cases_of(op, "f", examples=examples))
    if op.signature.optional:
        found.append(Check(label, "tries_every_input", lambda: tries_every_input(op, cases_of(op, examples=examples))))
    return found


def tries_every_input(op: Op, cases: Sequence[Case]) -> Iterable[str]:
    """Where an optional input was never given, nothing is known of it: raises NotTested."""
    if missing := [n for n in op.signature.inputs if all(case.inputs[n] is None for case in cases)]:
        example = ", ".join(f"{n!r}: ..." for n in op.signature.inputs)
        raise NotTested(f"{' and '.join(missing)} was never given; say it in the class: examples = [{{{example}}}]")
    return ()


def kernel_checks(
    kernel: Kernel, op: Op, backend: Backend, component: str = "", examples: Sequence[Example] = ()
) -> list[Check]:
    """The checks of a kernel, on those of the op's cases that it supports; also on buffers that aren't aligned."""

    @cache
    def make() -> list[Case]:
        require_available(backend)
        cases = (case for how in LAYOUTS for case in cases_of(op, *how, examples))
        if not (taken := list(supported(kernel, backend, cases))):
            raise ValueError(f"its `supports` refuses every case of {op!r}")
        return taken

    def make_large() -> list[Case]:
        ordinary = make()
        large = [largest(op, examples) if examples else large_example(op)]
        cases = supported(kernel, backend, (case for how in LAYOUTS for case in cases_of(op, *how, large)))
        return list(islice(cases, 1)) or [max(ordinary, key=lambda case: case.nbytes)]

    label = component or f"kernel {backend.name}/{op.name}"
    return on_cases(label, KERNEL_RULES, make) + on_cases(label, [allocates_nothing], make_large)


def require_available(backend: Backend) -> None:
    """Raise NotTested where a backend can't run on this machine."""
    if reason := backend.unavailable():
        raise NotTested(f"the backend {backend.name!r} can't run on this machine: {reason}")


def supported(kernel: Kernel, backend: Backend, cases: Iterable[Case]) -> Iterator[Case]:
    """Those cases of which a kernel runs forward or backward, given to it to run."""
    for case in cases:
        mine = replace(case, kernels=Kernels([backend], {f"{backend.name}/{case.op.name}": kernel}))
        if any(mine.runner(method) is kernel for method in mine.methods):
            yield mine


def on_cases(component: str, rules: Iterable[Rule], make: Callable[[], list[Case]]) -> list[Check]:
    """A check for each rule, on cases that are made when the first of them runs."""
    cases = cache(make)
    return [Check(component, rule.__name__, lambda rule=rule: found(rule, cases())) for rule in rules]  # type: ignore[misc]
