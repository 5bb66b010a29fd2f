"""A program that times its calls does what it does untimed, and its times add up to what passed."""

from time import perf_counter_ns
from typing import Any

import pytest

from microgpt_core.components import Buffer, flat, new_buffer
from microgpt_core.errors import DataError
from microgpt_simd.native import Program
from microgpt_simd.ops import Embedding, Linear, ReLU


def linear_then_relu() -> tuple[Program, Buffer]:
    """A large product, then a small op on a part of it."""
    x, weight, made, out = (new_buffer(shape) for shape in ((64, 96), (128, 96), (64, 128), (64, 128)))
    for buffer in (x, weight):
        flat(buffer)[:] = Buffer(bytes(4 * len(flat(buffer)))).cast("f")
    flat(x)[5], flat(weight)[5] = 3.0, 2.0
    views: dict[str, Buffer | None] = {"out": made, "x": x, "weight": weight, "bias": None}
    product = Linear().prepare("forward", views, {}, new_buffer((1 << 22,), "B"))
    return Program([product, ReLU().prepare("forward", {"out": out, "x": made}, {}, None)]), out


def test_it_computes_what_it_computes_untimed() -> None:
    program, out = linear_then_relu()
    program()
    untimed = flat(out).tolist()
    flat(out)[0] = -1.0
    program.timed(new_buffer((2,), "d"))
    assert flat(out).tolist() == untimed
    assert untimed[0] == 6.0


def test_times_add_up_to_no_more_than_what_passed_around_them() -> None:
    program, _ = linear_then_relu()
    ns = new_buffer((2,), "d")
    for _ in range(20):
        start = perf_counter_ns()
        program.timed(ns)
        passed = perf_counter_ns() - start
        assert 0 < ns[0] + ns[1] <= passed
    assert min(ns) >= 0


def test_a_product_takes_longer_than_a_relu_of_it() -> None:
    program, _ = linear_then_relu()
    ns, found = new_buffer((2,), "d"), []
    for _ in range(51):
        program.timed(ns)
        found.append(ns[0] > ns[1])
    assert sum(found) > 40


@pytest.mark.parametrize(
    "ns", [new_buffer((3,), "d"), new_buffer((2,)), new_buffer((1, 2), "d"), Buffer(bytes(16)).cast("d")]
)
def test_a_buffer_that_cannot_hold_the_times_is_an_error(ns: Any) -> None:
    program, _ = linear_then_relu()
    with pytest.raises(ValueError, match="a program of 2 calls writes as many times"):
        program.timed(ns)


def test_what_a_call_complains_of_is_raised() -> None:
    ids = new_buffer((1, 1), "i")
    ids[0, 0] = 9
    views: dict[str, Buffer | None] = {"out": new_buffer((1, 1, 4)), "ids": ids, "weight": new_buffer((3, 4))}
    program = Program([Embedding().prepare("forward", views, {}, None)])
    with pytest.raises(DataError, match="embedding: ids has 9"):
        program.timed(new_buffer((1,), "d"))
