"""What the reference warns of, native code warns of: call by call, in a program, and once in a loop of many turns."""

import warnings
from array import array
from collections.abc import Callable
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.components import IGNORED, Buffer, LoopPart, flat, new_buffer
from microgpt_core.engine.backends import Kernels
from microgpt_core.testing.case import Case, make_case
from microgpt_simd.linear_cross_entropy import LinearCrossEntropy
from microgpt_simd.native import Loop, Program

N_TARGETS = 3
GIVEN: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "cross_entropy": (ops.cross_entropy, {"logits": (N_TARGETS, 5)}, {}),
    "linear_cross_entropy": (
        LinearCrossEntropy(),
        {"x": (N_TARGETS, 4), "weight": (5, 4), "weight_gradient": (5, 4)},
        {"label_smoothing": 0.0, "bfloat16": False},
    ),
}
WAYS: dict[str, Callable[[Any], object]] = {
    "call": lambda call: call(),
    "program": lambda call: Program([call])(),
    "timed program": lambda call: Program([call]).timed(new_buffer((1,), "d")),
}


def case_of(op: str, kernels: Kernels) -> Case:
    """The op on targets that are all ignored."""
    made, given, attributes = GIVEN[op]
    case = make_case(made, {**given, "targets": [IGNORED] * N_TARGETS}, attributes, "f")
    return Case(case.op, case.inputs, case.attributes, kernels)


def prepared(op: str, kernels: Kernels) -> tuple[Any, dict[str, Any]]:
    """Its call, and the call's buffers."""
    case, room = case_of(op, kernels), new_buffer((1 << 22,), "B")
    bound = case.bind("forward").buffers
    views = {name: bound[name] for name in case.op.signature.forward}
    return kernels.table[f"simd/{op}"].prepare("forward", views, case.attributes, room), views


def said(run: Callable[[], object]) -> list[str]:
    """Every warning, without the name of the op that begins it."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run()
    return [str(each.message).split(": ", 1)[1] for each in found]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", GIVEN)
def test_what_the_reference_warns_of(op: str, way: str, level: str, kernels: Kernels) -> None:
    expected = said(case_of(op, Kernels()).forward)
    assert len(expected) == 1
    call, buffers = prepared(op, kernels)
    assert said(lambda: WAYS[way](call)) == expected
    assert buffers["loss"][0] == 0
    flat(buffers["targets"])[1] = 2
    assert said(lambda: WAYS[way](call)) == []
    assert buffers["loss"][0] > 0


def test_backward_has_been_warned_of_before(kernels: Kernels) -> None:
    with warnings.catch_warnings(action="ignore"):
        backward = case_of("cross_entropy", kernels).bind("backward")  # forward is run for it
    assert said(backward.once) == []


def test_a_warning_ends_nothing(kernels: Kernels) -> None:
    """What follows it in the program is done, too, and an error there is still one."""
    first, other = (prepared("cross_entropy", kernels) for _ in range(2))
    flat(other[1]["targets"])[0] = 2
    program = Program([first[0], other[0]])
    assert len(said(program)) == 1
    assert other[1]["loss"][0] > 0
    flat(other[1]["targets"])[0] = 5
    with pytest.raises(ValueError, match="targets has 5 at index 0"):
        program()


def test_a_loop_warns_once(kernels: Kernels) -> None:
    call, buffers = prepared("cross_entropy", kernels)
    losses = new_buffer((4,))
    feed = Buffer(array("i", [IGNORED] * N_TARGETS + [1] * N_TARGETS + [IGNORED] * N_TARGETS + [2] * N_TARGETS))
    loop = Loop([LoopPart([Program([call])], [(buffers["targets"], feed)], [(buffers["loss"], losses)])])
    found = said(lambda: loop(4, 0))
    assert found == said(case_of("cross_entropy", Kernels()).forward)
    assert [loss > 0 for loss in losses] == [False, True, False, True]
    assert said(lambda: loop(1, 3)) == []
