"""Bad calls of every kernel: a good call with one thing wrong is refused, or does nothing beside its buffers.

What is wrong is drawn; `BREAKS` has the kinds. Around every buffer lie bytes that a call must leave as they are.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.components import Buffer, flat, new_buffer
from microgpt_core.components.op import Op
from microgpt_core.errors import DataError, ShapeError
from microgpt_core.testing.case import make_case
from microgpt_core.testing.cases import TABLE
from microgpt_core.testing.red_zones import Guarded, guard
from microgpt_simd import boundary, kernel
from microgpt_simd.ops import KERNELS

REFUSALS = (ShapeError, DataError, TypeError, ValueError)
LARGEST = 100  # numbers in a good call: small ones are refused as large ones are
ROOM = new_buffer((1 << 22,), "B")
ODD_BUFFERS = (b"1234", bytearray(8), [1.0, 2.0], 3, 2.5, "text", Ellipsis, {}, object(), float)
ODD_VALUES = (None, True, -1, 0, 1, 3, 2**31, 2**63, 2**64, -(2**63), 10**400, 2.5, 1e308, float("inf"), float("nan"),
              "4", b"4", [1], (), object())  # fmt: skip
ODD_NUMBERS = (-(2**31), -7, -2, -1, 0, 1, 2, 5, 99, 2**31 - 1)


@dataclass
class BadCall:
    """A call of a kernel with something wrong, and what lies around its buffers."""

    op: Op
    method: str
    views: dict[str, Any]
    attributes: dict[str, Any]
    workspace: Any = ROOM
    guards: list[Guarded] = field(default_factory=list)

    @property
    def written(self) -> list[str]:
        signature = self.op.signature
        made = (*signature.produced, *self.op.mutates)
        names = made if self.method == "forward" else [f"d_{n}" for n in signature.inputs]
        return [n for n in names if self.views.get(n) is not None]

    @property
    def given(self) -> list[str]:
        return [n for n, view in self.views.items() if view is not None]

    def replace(self, name: str, buffer: Buffer) -> None:
        """Another buffer in the place of one, with bytes around it."""
        self.guards.append(guard({name: buffer}))
        self.views[name] = self.guards[-1].buffers[name]

    def refused(self) -> bool:
        """Bind it and run it: whether either was refused. Any other exception goes up."""
        try:
            made = KERNELS[self.op.name]()
            made.prepare(self.method, self.views, self.attributes, self.workspace)()
        except REFUSALS:
            return True
        return False

    def spilled(self) -> list[str]:
        return [place for guarded in self.guards for place in guarded.spilled()]


@cache
def good_calls() -> list[Callable[[], BadCall]]:
    """Makers of calls with nothing wrong yet: every kernel's methods on the kit's smaller examples."""
    found = []
    for name, made in KERNELS.items():
        op = made.op
        for example in TABLE.get(name) or op.examples:  # type: ignore[attr-defined]
            given = {n: v for n, v in example.items() if n in op.signature.inputs}
            case = make_case(op, given, {n: v for n, v in example.items() if n not in given}, "f")
            if case.nbytes <= 4 * LARGEST:
                found += [maker(op, method, case.bind(method).buffers, case.attributes) for method in case.methods]
    return found


def maker(op: Op, method: str, buffers: dict[str, Any], attributes: Any) -> Callable[[], BadCall]:
    signature = op.signature
    names = signature.forward if method == "forward" else signature.backward
    taken = signature.forward_attributes if method == "forward" else signature.backward_attributes

    def make() -> BadCall:
        guarded = guard({n: buffers[n] for n in names})
        return BadCall(op, method, dict(guarded.buffers), {n: attributes[n] for n in taken}, guards=[guarded])

    return make


def other_format(call: BadCall, rng: Random) -> None:
    name = rng.choice(call.given)
    view = call.views[name]
    call.replace(name, new_buffer(view.shape, rng.choice([f for f in "dHB" if f != view.format])))


def other_shape(call: BadCall, rng: Random) -> None:
    name = rng.choice(call.given)
    shape = [max(1, n + rng.choice((-1, 0, 0, 1, 3))) for n in call.views[name].shape]
    call.replace(name, new_buffer(tuple(shape), call.views[name].format))


def other_rank(call: BadCall, rng: Random) -> None:
    name = rng.choice(call.given)
    view = call.views[name]
    shape = rng.choice([(view.nbytes // view.itemsize,), (1, *view.shape), (*view.shape, 1), (1,) * 9, ()])
    call.replace(name, new_buffer(shape, view.format))


def not_a_buffer(call: BadCall, rng: Random) -> None:
    call.views[rng.choice(call.given)] = rng.choice(ODD_BUFFERS)


def not_contiguous(call: BadCall, rng: Random) -> None:
    name = rng.choice(call.given)
    view = call.views[name]
    stride = rng.choice((2, 3, -1))
    call.views[name] = new_buffer((max(2, view.nbytes // view.itemsize) * abs(stride),), view.format)[::stride]


def read_only(call: BadCall, rng: Random) -> None:
    name = rng.choice(call.written)
    call.views[name] = call.views[name].toreadonly()


def overlapping(call: BadCall, rng: Random) -> None:
    """One that is written and another in one piece of memory, not quite at the same place."""
    name = rng.choice(call.written)
    other = rng.choice([n for n in call.given if n != name])
    first, second = call.views[name], call.views[other]
    start = rng.randrange(1, first.nbytes)
    memory = new_buffer((first.nbytes + second.nbytes,), "B")
    call.views[name] = memory[: first.nbytes].cast(first.format, first.shape)
    call.views[other] = memory[start : start + second.nbytes].cast(second.format, second.shape)


def missing(call: BadCall, rng: Random) -> None:
    kept = [n for n in call.given if n not in call.op.signature.optional and n[2:] not in call.op.signature.inputs]
    call.views[rng.choice(kept)] = None


def other_names(call: BadCall, rng: Random) -> None:
    names, views = list(call.views), list(call.views.values())
    way = rng.randrange(3)
    if way == 0:
        call.views = dict(zip(names[:-1], views))
    elif way == 1:
        call.views = dict(zip([*names, "more"], [*views, views[0]]))
    else:
        call.views = dict(zip(reversed([*names, "more"]), reversed([*views, None])))


def other_attributes(call: BadCall, rng: Random) -> None:
    if call.attributes and rng.random() < 0.5:
        del call.attributes[rng.choice(list(call.attributes))]
    else:
        call.attributes["more"] = rng.choice(ODD_VALUES)


def odd_values(call: BadCall, rng: Random) -> None:
    for name in call.attributes:
        call.attributes[name] = rng.choice(ODD_VALUES)


def odd_sets(call: BadCall, rng: Random) -> None:
    call.attributes["sets"] = rng.choice([*ODD_BUFFERS, frozenset({"d_x", "x", 3}), frozenset(call.views)])


def odd_numbers(call: BadCall, rng: Random) -> None:
    """In integers: ids, targets, positions, where a row starts."""
    for view in call.views.values():
        if view is not None and view.format == "i":
            numbers = flat(view)
            for i in range(len(numbers)):
                numbers[i] = rng.choice(ODD_NUMBERS)


def odd_workspace(call: BadCall, rng: Random) -> None:
    call.workspace = rng.choice([None, new_buffer((1,), "B"), ROOM.toreadonly(), *ODD_BUFFERS])


def anything(call: BadCall, rng: Random) -> None:
    """Nothing of the good call stays but its op and its names."""
    for name in call.views:
        shape = tuple(rng.choice((1, 2, 3, 4)) for _ in range(rng.choice((1, 2, 2, 3))))
        call.views[name] = None
        if rng.random() > 0.1:
            call.replace(name, new_buffer(shape, rng.choice("fffid")))
    for name in call.attributes:
        call.attributes[name] = rng.choice((1, 2, 0.5, None))


Break = Callable[[BadCall, Random], None]
NEVER_FIT: tuple[Break, ...] = (
    other_format, not_a_buffer, not_contiguous, read_only, overlapping, missing, other_names, other_attributes,
)  # fmt: skip
MAY_FIT: tuple[Break, ...] = (  # some of these are another good call
    other_shape, other_rank, odd_values, odd_sets, odd_numbers, odd_workspace, anything,
)  # fmt: skip


APPLIES: dict[Break, Callable[[BadCall], bool]] = {  # the others apply to every call
    overlapping: lambda call: len(call.given) > 1,
    odd_values: lambda call: bool(call.attributes),
    odd_numbers: lambda call: any(view is not None and view.format == "i" for view in call.views.values()),
}


def tried(wrong: Break, calls: int, seed: int) -> Counter[str]:
    """How many calls were refused, how many ran, and for each place that was written beside a buffer how many did."""
    rng, found, applies = Random(f"{wrong.__name__} {seed}"), Counter[str](), APPLIES.get(wrong, bool)
    makers = [make for make in good_calls() if applies(make())]
    for _ in range(calls):
        call = rng.choice(makers)()
        wrong(call, rng)
        found["refused" if call.refused() else "ran"] += 1
        if spilled := call.spilled():
            found[f"{call.op.name}.{call.method}: {', '.join(spilled)}"] += 1
    return found


def check(wrong: Break, calls: int, seed: int = 0) -> Counter[str]:
    found = tried(wrong, calls, seed)
    assert found["refused"] > (calls // 20 if wrong in MAY_FIT else calls - 1), found
    assert set(found) <= {"refused", "ran"}, found
    return found


IGNORED = pytest.mark.filterwarnings("ignore:.*every target is ignored")  # odd numbers may all be -1


def test_good_calls_are_good() -> None:
    assert {make().op.name for make in good_calls()} == set(KERNELS)
    for make in good_calls():
        call = make()
        assert not call.refused()
        assert not call.spilled()


@IGNORED
@pytest.mark.parametrize("wrong", [*NEVER_FIT, *MAY_FIT], ids=lambda wrong: wrong.__name__)
def test_bad_calls_are_refused_or_harmless(wrong: Break) -> None:
    check(wrong, 400)


@pytest.mark.long
@IGNORED
@pytest.mark.parametrize("wrong", [*NEVER_FIT, *MAY_FIT], ids=lambda wrong: wrong.__name__)
def test_a_million_bad_calls(wrong: Break, record_property: Callable[[str, object], None]) -> None:
    found = check(wrong, 66_700, 1)
    record_property("found", dict(found))
    print(f"{wrong.__name__}: {dict(found)}")


@pytest.mark.parametrize("wrong", NEVER_FIT, ids=lambda wrong: wrong.__name__)
def test_planted_a_hole_is_found(wrong: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without the boundary, calls with such a fault are let through (they aren't run here)."""
    monkeypatch.setattr(kernel, "check_call", lambda *given: None)
    monkeypatch.setattr(kernel.NativeKernel, "prepare", lambda *given: kernel.nothing)
    assert tried(wrong, 50, 0)["ran"]


def test_planted_a_write_beside_a_buffer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: where shapes aren't compared, a row too few is written beside."""

    def shorter(call: BadCall, rng: Random) -> None:
        call.op, call.method = ops.OPS["rmsnorm"], "forward"
        call.views, call.attributes = {"out": None, "rstd": None, "x": None, "weight": None}, {"eps": 1e-5}
        for name, shape in {"out": (3, 5), "rstd": (2,), "x": (3, 5)}.items():
            call.replace(name, new_buffer(shape))

    assert tried(shorter, 1, 0) == {"refused": 1}
    monkeypatch.setattr(boundary, "check_layout", lambda *given: None)
    assert tried(shorter, 1, 0) == {"ran": 1, "rmsnorm.forward: after rstd": 1}
