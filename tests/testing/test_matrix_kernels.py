"""Bugs of kernels x checks: each is found by the check that is for it, and each check has a bug that it finds."""

import operator
from ctypes import addressof, c_char, c_double, c_float
from dataclasses import replace
from math import isfinite, nan
from typing import Any

import pytest

from microgpt_core.components import Backend, Kernel, Op, Unary, accumulate, flat, write
from microgpt_core.engine.backends import Kernels
from microgpt_core.ops import OPS
from microgpt_core.testing import check_kernel
from microgpt_core.testing.agreement import compare, holding
from microgpt_core.testing.case import filled, make_case
from microgpt_core.testing.cases import cases_of
from microgpt_core.testing.contract import where
from microgpt_core.testing.ops import kernel_checks, supported

EXAMPLES = [{"a": (3, 5), "b": (3, 5)}, {"a": (17,), "b": (17,)}]


class Flat(Backend):
    """Kernels that see buffers as rows of numbers."""

    name = "flat"

    def view(self, buffer: Any) -> Any:
        return flat(buffer)


class Right(Kernel):
    """mul, number by number, making nothing: the control."""

    sets = ("d_a", "d_b")

    def forward(self, out, a, b):
        for i in range(len(out)):
            out[i] = a[i] * b[i]

    def backward(self, d_a, d_b, d_out, a, b, *, sets):
        self.move("d_a", d_a, d_out, b, sets)
        self.move("d_b", d_b, d_out, a, sets)

    def move(self, name, d, d_out, other, sets):
        if d is not None:
            for i in range(len(d)):
                d[i] = d_out[i] * other[i] + (0.0 if name in sets else d[i])


class HalfWritten(Right):
    def forward(self, out, a, b):
        super().forward(out[: len(out) - len(out) % 4], a, b)  # whole vectors only


class Overwriting(Right):
    def backward(self, d_a, d_b, d_out, a, b, *, sets):
        super().backward(d_a, d_b, d_out, a, b, sets=self.sets)


class Meddling(Right):
    def forward(self, out, a, b):
        super().forward(out, a, b)
        a[0] = 1.0


class Spilling(Right):
    def forward(self, out, a, b):
        super().forward(out, a, b)
        memory = (c_char * (out.nbytes + 1)).from_address(addressof(c_char.from_buffer(out.cast("B"))))
        memory[out.nbytes] = b"x"


class Peeping(Right):
    def forward(self, out, a, b):
        super().forward(out, a, b)
        kind = {"f": c_float, "d": c_double}[a.format]
        out[0] += (kind * (len(a) + 1)).from_address(addressof(kind.from_buffer(a.cast("B"))))[len(a)]


class Insisting(Right):
    def backward(self, d_a, d_b, d_out, a, b, *, sets):
        for i in range(len(d_a)):
            d_a[i] = d_out[i] * b[i] + (0.0 if "d_a" in sets else d_a[i])
        super().backward(None, d_b, d_out, a, b, sets=sets)


class LastWins(Right):
    def backward(self, d_a, d_b, d_out, a, b, *, sets):
        before = None if d_a is None else d_a.tolist()
        super().backward(d_a, None, d_out, a, b, sets=sets)
        if d_a is not None and d_b is not None and d_a == d_b:
            d_b[:] = type(d_b)(make_case(OPS["mul"], {"a": before, "b": before}, format=d_b.format).inputs["a"])
        super().backward(None, d_b, d_out, a, b, sets=sets)


class Remembering(Right):
    calls = 0

    def forward(self, out, a, b):
        super().forward(out, a, b)
        self.calls += 1
        out[0] += self.calls


class Late(Right):
    """What it saw at its first run it takes for what is there at the next."""

    def prepare(self, method, views, attributes, workspace):
        run, seen = super().prepare(method, views, attributes, workspace), []

        def once():
            if not seen:
                seen.append(run())

        return once


class Early(Right):
    """It reads its inputs while it is being prepared: in a plan, before they are computed."""

    def prepare(self, method, views, attributes, workspace):
        if method == "backward":
            return super().prepare(method, views, attributes, workspace)
        a, b = views["a"].tolist(), views["b"].tolist()
        return lambda: Right.forward(self, views["out"], a, b)


class Forgetting(Right):
    def backward(self, d_a, d_b, d_out, a, b, *, sets):
        super().backward(d_a, d_b, d_out, a, b, sets=())


class Greedy(Right):
    def backward(self, d_a, d_b, d_out, a, b, *, sets):
        super().backward(d_a, d_b, d_out, a, b, sets=self.sets if sets else ())


class Boasting(Right):
    sets = ("d_a", "d_b", "d_c")


class Wasteful(Right):
    def forward(self, out, a, b):
        self.room = None
        self.room = bytearray(1 << 20)
        super().forward(out, a, b)


class Hoarding(Right):
    def __init__(self):
        self.log = []

    def forward(self, out, a, b):
        self.log.append(bytes(100))
        super().forward(out, a, b)


class Rough(Right):
    def forward(self, out, a, b):
        for i in range(len(out)):
            out[i] = round(a[i] * b[i], 3)


class Scaled(Right):
    def backward(self, d_a, d_b, d_out, a, b, *, sets):
        self.move("d_a", d_a, d_out, b, sets)
        self.move("d_b", d_b, d_out, [1.1 * x for x in a], sets)


class Hiding(Right):
    def forward(self, out, a, b):
        for i in range(len(out)):
            product = a[i] * b[i]
            out[i] = product if product == product else 0.0


class Failing(Right):
    def backward(self, d_a, d_b, d_out, a, b, *, sets):
        raise RuntimeError("error -7")


class Untidy(Right):
    """It takes for granted that its workspace is empty."""

    def workspace(self, method, shapes, formats, attributes):
        return 8

    def prepare(self, method, views, attributes, workspace):
        run = super().prepare(method, views, attributes, workspace)
        if method == "backward":
            return run

        def dirty():
            run()
            views["out"][0] += workspace.cast("d")[0]

        return dirty


BUGS = [
    (HalfWritten, "overwrites", "forward doesn't overwrite all of out: what it held before shows"),
    (Overwriting, "accumulates", "backward doesn't add to d_a: what it held before is lost"),
    (Meddling, "touches_nothing_else", "forward changes a, which isn't in mutates"),
    (Spilling, "stays_inside", "forward writes outside of its buffers, after out"),
    (Peeping, "stays_inside", "forward reads outside of its buffers: what lies there shows in out"),
    (Untidy, "stays_inside", "forward reads outside of its buffers: what lies there shows in out"),
    (Insisting, "spares_unwanted_gradients", "backward fails where d_a and d_b are None: "),
    (LastWins, "takes_one_tensor_twice", "the gradient is wrong where a and b are one tensor"),
    (Remembering, "repeats", "two runs of forward on equal inputs differ in out"),
    (Late, "keeps_no_state", "forward, run again on other numbers in its buffers, makes the wrong out"),
    (Early, "replays", "out differs between eager code and a plan"),
    (Forgetting, "sets_when_told", "backward was told to set d_a, and what it held before shows"),
    (Greedy, "sets_when_told", "backward sets d_b, but was told to set only d_a"),
    (Boasting, "sets_when_told", "sets names d_c, which mul doesn't add to"),
    (Wasteful, "allocates_nothing", "forward takes 1,04"),
    (Hoarding, "allocates_nothing", "every call of forward keeps "),
    (Rough, "agrees_with_reference", "of the largest of its row, allowed 1e-06 (out["),
    (Scaled, "agrees_with_reference", "d_b is 1.10 times too large everywhere (d_b["),
    (Failing, "agrees_with_reference", "RuntimeError: error -7"),
    (
        Hiding,
        "special_numbers_agree",
        "out isn't finite in the same places where a holds nan (out[1, 2]: yours 0",
    ),
]


@pytest.mark.parametrize(("broken", "check", "said"), BUGS, ids=[f"{bug.__name__}-{name}" for bug, name, _ in BUGS])
def test_a_bug_is_found_by_the_check_that_is_for_it(failures, broken: type[Kernel], check: str, said: str) -> None:
    notes = [n for n in failures(kernel_checks(broken(), OPS["mul"], Flat(), examples=EXAMPLES))[check] if said in n]
    assert notes
    assert "test_matrix_kernels.py:" in notes[0]


def test_every_check_has_its_bug_and_lets_what_is_right_pass(failures) -> None:
    checks = kernel_checks(Right(), OPS["mul"], Flat(), examples=EXAMPLES)
    assert {check for _, check, _ in BUGS} == {check.name for check in checks}
    assert failures(checks) == {}


class Gather(Op):
    """Forward adds to a gradient that it is given: what a pass makes of several calls may do that."""

    name = "gather"
    mutates = ("total",)

    def shapes(self, a, total):
        return {"out": a}

    def forward(self, out, a, total):
        write(out, [-v for v in flat(a)])
        accumulate(total, flat(a))


class SettingGather(Kernel):
    sets = ("total",)

    def forward(self, out, a, total, *, sets):
        Gather().forward(out, a, self.emptied(total, sets))

    def emptied(self, total, sets):
        if "total" in sets:
            write(total, [0.0] * len(total))
        return total


class ForgettingGather(SettingGather):
    def emptied(self, total, sets):
        return total


class GreedyGather(SettingGather):
    def emptied(self, total, sets):
        return super().emptied(total, ("total",))


@pytest.mark.parametrize(
    ("kernel", "check", "said"),
    [
        (ForgettingGather, "sets_when_told", "forward was told to set total, and what it held before shows"),
        (GreedyGather, "agrees_with_reference", "total is wrong"),
    ],
)
def test_a_kernel_may_set_what_forward_adds_to(failures, kernel: type[Kernel], check: str, said: str) -> None:
    examples = [{"a": (3, 5), "total": (3, 5)}]
    assert failures(kernel_checks(SettingGather(), Gather(), Flat(), examples=examples)) == {}
    assert said in failures(kernel_checks(kernel(), Gather(), Flat(), examples=examples))[check][0]


def two_digits(x):
    if x.format == "f" and all(map(isfinite, flat(x))):
        write(made := filled(x.shape, "f", 0.0), [round(v, 2) for v in flat(x)])
        return made
    return x


class Rounded(type(OPS["mul"])):
    name = "rounded"
    rounds = True

    def forward(self, out, a, b):
        super().forward(out, two_digits(a), two_digits(b))


class InFloat32(Right):
    def supports(self, shapes, formats):
        return None if set(formats.values()) == {"f"} else "only float32"


class Rounding(InFloat32):
    def forward(self, out, a, b):
        super().forward(out, two_digits(a), two_digits(b))


def test_a_kernel_rounds_as_its_op_does(failures) -> None:
    """What rounding does isn't what its numbers are measured by."""
    op, examples = Rounded(), [{"a": (3, 5), "b": (3, 5)}]
    assert "agrees_with_reference" in failures(kernel_checks(InFloat32(), op, Flat(), examples=examples))
    assert "agrees_with_reference" not in failures(kernel_checks(Rounding(), op, Flat(), examples=examples))


class Tolerant(type(OPS["mul"])):
    name = "tolerant"
    rounds, tolerance = True, 1e-2


class RoughInFloat32(InFloat32, Rough):
    pass


class FarOffInFloat32(InFloat32):
    def forward(self, out, a, b):
        for i in range(len(out)):
            out[i] = a[i] * b[i] * (1.0 + 0.1 * (i % 2))


def test_an_op_that_rounds_on_its_way_may_have_a_tolerance_of_its_own(failures) -> None:
    op, examples = Tolerant(), [{"a": (3, 5), "b": (3, 5)}]
    assert "agrees_with_reference" in failures(kernel_checks(RoughInFloat32(), OPS["mul"], Flat(), examples=examples))
    assert failures(kernel_checks(RoughInFloat32(), op, Flat(), examples=examples)) == {}
    (note,) = failures(kernel_checks(FarOffInFloat32(), op, Flat(), examples=examples))["agrees_with_reference"][:1]
    assert "out is wrong in 7 of 15 numbers" in note


class OffBy(InFloat32):
    def __init__(self, error):
        self.error = error

    def forward(self, out, a, b):
        for i in range(len(out)):
            out[i] = a[i] * b[i] * (1.0 + self.error)


@pytest.mark.parametrize(("error", "right"), [(4e-7, True), (1e-4, False)])
def test_a_number_beside_an_ordinary_one_is_measured_by_the_kernels_precision(error, right) -> None:
    """Where the exact case says NaN and the kernel doesn't depend on it: that case is in float64, the kernel isn't."""
    case = make_case(OPS["mul"], {"a": (3, 5), "b": (3, 5)}, format="f")
    ordinary, mine = case.exact(), replace(case, kernels=Kernels([Flat()], {"flat/mul": OffBy(error)}))
    found = [*compare(mine, holding(ordinary, "a", nan), " beside", [ordinary])]
    assert (not any(note.startswith("out") for note in found)) is right


class ForwardOnly(Kernel):
    def forward(self, out, a, b):
        Right.forward(self, out, a, b)


class Float64Only(Right):
    def supports(self, shapes, formats):
        return None if set(formats.values()) == {"d"} else "only float64"


class Nothing(Right):
    def supports(self, shapes, formats):
        return "not today"


@pytest.mark.parametrize("kernel", [ForwardOnly, Float64Only])
def test_only_what_a_kernel_supports_is_asked_of_it(kernel) -> None:
    assert check_kernel(kernel(), OPS["mul"], Flat(), EXAMPLES)


def test_half_a_kernel_is_checked_all_the_same(failures) -> None:
    class Half(ForwardOnly):
        def forward(self, out, a, b):
            HalfWritten.forward(Right(), out, a, b)

    assert "overwrites" in failures(kernel_checks(Half(), OPS["mul"], Flat(), examples=EXAMPLES))


def test_a_kernel_that_supports_nothing_fails(failures) -> None:
    found = failures(kernel_checks(Nothing(), OPS["mul"], Flat(), examples=EXAMPLES))
    assert found["overwrites"][0].startswith("ValueError: its `supports` refuses every case of mul(a, b)")


def test_a_backend_that_can_not_run_here_is_no_failure() -> None:
    class Elsewhere(Flat):
        def unavailable(self) -> str | None:
            return "it needs AMX"

    report = check_kernel(Right(), OPS["mul"], Elsewhere(), EXAMPLES)
    assert report
    assert {r.state for r in report.results} == {"skipped"}
    assert "flat' can't run on this machine: it needs AMX" in str(report)


def test_a_compiled_method_is_named_where_there_is_no_line() -> None:
    class Compiled(Right):
        forward = staticmethod(operator.concat)  # type: ignore[assignment]

    case = next(supported(Compiled(), Flat(), cases_of(OPS["mul"], examples=EXAMPLES)))
    assert where(case, "forward").endswith("test_matrix_kernels.Compiled.forward")


class Masked(Unary):
    """What comes after the first number is hidden from it."""

    name = "attention"
    examples = ({"x": (5,)},)

    def f(self, x: float) -> float:
        return x

    def df(self, x: float) -> float:
        return 1.0


@pytest.mark.parametrize(("name", "passes"), [("attention", True), ("other", False)])
def test_only_attention_may_spread_what_is_hidden_from_it(name: str, passes: bool) -> None:
    class Spreading(Kernel):
        def forward(self, out, x):
            hidden = 0.0 * sum(x)
            for i in range(len(out)):
                out[i] = x[i] + hidden

    op = Masked()
    op.name = name  # type: ignore[misc]
    report = check_kernel(Spreading(), op, Flat(), op.examples)
    assert bool(report) == passes
    assert [r.check for r in report.results if r.state == "failed"] == ([] if passes else ["special_numbers_agree"])


class Careless(Op):
    """Its backward multiplies what doesn't count by zero, which of NaN makes NaN."""

    name = "attention"
    examples = ({"x": (5,)},)

    def shapes(self, x):
        return {"out": x}

    def forward(self, out, x):
        write(out, x.tolist())

    def backward(self, d_x, d_out, x):
        hidden = 0.0 * sum(x)
        if d_x is not None:
            accumulate(d_x, [d + hidden for d in d_out])


class Careful(Kernel):
    def forward(self, out, x):
        out[:] = x

    def backward(self, d_x, d_out, x):
        if d_x is not None:
            for i, d in enumerate(d_out):
                d_x[i] += d


class Hiding(Careful):
    """A NaN that counts becomes 0."""

    def forward(self, out, x):
        for i, v in enumerate(x):
            out[i] = v if v == v else 0.0


@pytest.mark.parametrize(
    ("kernel", "name", "passes"),
    [(Careful, "attention", True), (Careful, "other", False), (Hiding, "attention", False)],
)
def test_only_attention_may_be_finite_where_the_reference_multiplies_nan_by_zero(
    kernel: type[Kernel], name: str, passes: bool
) -> None:
    op = Careless()
    op.name = name  # type: ignore[misc]
    report = check_kernel(kernel(), op, Flat(), op.examples)
    assert [r.check for r in report.results if r.state == "failed"] == ([] if passes else ["special_numbers_agree"])
