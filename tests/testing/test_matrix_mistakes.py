"""Mistakes that a clever author could make, each found; and what looks strange but is right, not refused."""

import math
from typing import Any, ClassVar

import pytest

from microgpt_core.components import (
    Backend,
    Dataset,
    Kernel,
    Op,
    Schedule,
    Unary,
    accumulate,
    divide,
    exp,
    flat,
    rows,
    write,
)
from microgpt_core.ops import OPS
from microgpt_core.testing.components import says_whether_it_can_run
from microgpt_core.testing.datasets import dataset_checks
from microgpt_core.testing.ops import kernel_checks, op_checks
from microgpt_core.testing.report import checks
from microgpt_core.testing.schedules import schedule_checks


class FarBranch(Unary):
    """Softplus with a shortcut for large x, whose derivative was forgotten."""

    def f(self, x: float) -> float:
        return x if x > 20 else math.log1p(exp(x))

    def df(self, x: float) -> float:
        return 0.0 if x > 20 else divide(1.0, 1.0 + exp(-x))


class NearBranch(Unary):
    """ELU whose left side has the slope of its right one."""

    def f(self, x: float) -> float:
        return x if x > 0 else exp(x) - 1.0

    def df(self, x: float) -> float:
        return 1.0


class HardCoded(Unary):
    """df knows the default of f's attribute only."""

    def f(self, x: float, *, slope: float = 0.1) -> float:
        return x if x > 0 else slope * x

    def df(self, x: float, *, slope: float = 0.1) -> float:
        return 1.0 if x > 0 else 0.1


class WrongSwitch(Unary):
    """df is right for exact=True, the default."""

    def f(self, x: float, *, exact: bool = True) -> float:
        return x * x if exact else x * abs(x)

    def df(self, x: float, *, exact: bool = True) -> float:
        return 2.0 * x


class Naive(Unary):
    """tanh by its definition: infinity over infinity."""

    def f(self, x: float) -> float:
        return divide(exp(x) - exp(-x), exp(x) + exp(-x))

    def df(self, x: float) -> float:
        return 1.0 - self.f(x) ** 2


class SoftmaxOp(Op):
    """softmax, as `kind` says: without the largest number taken off, or with half of its derivative."""

    kind: ClassVar[str] = ""

    def shapes(self, x: Any) -> Any:
        return {"out": x}

    def forward(self, out: Any, x: Any) -> None:
        made = []
        for row in rows(x).tolist():
            top = 0.0 if self.kind == "overflowing" else max(row)
            e = [exp(v - top) for v in row]
            made += [divide(v, sum(e)) for v in e]
        write(out, made)

    def backward(self, d_x: Any, d_out: Any, out: Any) -> None:
        if d_x is None:
            return
        made = []
        for p, d in zip(rows(out).tolist(), rows(d_out).tolist()):
            mean = 0.0 if self.kind == "diagonal" else sum(map(lambda a, b: a * b, p, d))
            made += [a * (b - mean) for a, b in zip(p, d)]
        accumulate(d_x, made)


class Overflowing(SoftmaxOp):
    kind = "overflowing"


class Diagonal(SoftmaxOp):
    kind = "diagonal"


class FirstRow(SoftmaxOp):
    """It takes the first row's mean off every row."""

    def forward(self, out: Any, x: Any) -> None:
        first = rows(x).tolist()[0]
        write(out, [v - sum(first) / len(first) for v in flat(x)])

    def backward(self, d_x: Any, d_out: Any) -> None:
        if d_x is not None:
            accumulate(d_x, flat(d_out).tolist())


class Cached(SoftmaxOp):
    """What it computed of the first shape that it saw it takes for all."""

    def forward(self, out: Any, x: Any) -> None:
        self.ramp = getattr(self, "ramp", None) or [float(i) for i in range(len(flat(x)))]
        write(out, [v * r for v, r in zip(flat(x), self.ramp, strict=True)])

    def backward(self, d_x: Any, d_out: Any) -> None:
        if d_x is not None:
            accumulate(d_x, [v * r for v, r in zip(flat(d_out), self.ramp)])


class Rounding(Unary):
    """It computes in float32, also where it is asked for float64."""

    def f(self, x: float) -> float:
        return memoryview(bytearray(8)).nbytes and math.ldexp(round(math.ldexp(x, 20)), -20)

    def df(self, x: float) -> float:
        return 1.0


class Expensive(Unary):
    """Its cost fails where a plan asks for it."""

    def f(self, x: float) -> float:
        return x

    def df(self, x: float) -> float:
        return 1.0

    def cost(self, x: Any) -> Any:
        return {"forward": len(x) / 0}


WRONG_OPS = [
    (FarBranch, "derivative", "d_x is missing: all zeros (x = 60.3"),
    (NearBranch, "derivative", "d_x is wrong in "),
    (HardCoded, "derivative", "d_x is wrong in "),
    (WrongSwitch, "derivative", "d_x is wrong in "),
    (Naive, "lets_special_numbers_through", "out is nan where x is 10000"),
    (Overflowing, "lets_special_numbers_through", "out is nan where x is 10000"),
    (Diagonal, "derivative", "d_x is "),
    (FirstRow, "derivative", "d_x is "),
    (Cached, "overwrites", "ValueError: zip() argument 2"),
    (Rounding, "derivative", "d_x is "),
    (Expensive, "replays", "ZeroDivisionError"),
]


@pytest.mark.parametrize(("broken", "check", "said"), WRONG_OPS, ids=[bug.__name__ for bug, _, _ in WRONG_OPS])
def test_an_op_s_mistake_is_found(failures, broken: type[Op], check: str, said: str) -> None:
    assert said in failures(op_checks(broken()))[check][0]


class Scaled(Unary):
    """An attribute that may not be just anything."""

    def f(self, x: float, *, p: float = 0.9) -> float:
        if not 0 < p < 1:
            raise ValueError("p")
        return p * x

    def df(self, x: float, *, p: float = 0.9) -> float:
        return p


class Partial(Unary):
    """asin: NaN outside of [-1, 1]. It says where to try it."""

    examples = ({"x": [0.5, -0.25, 0.75]},)

    def f(self, x: float) -> float:
        return math.asin(x) if abs(x) <= 1 else math.nan

    def df(self, x: float) -> float:
        return divide(1.0, math.sqrt(1.0 - x * x)) if abs(x) < 1 else math.nan


class Growing(Unary):
    """exp(x^2): infinite long before x is."""

    def f(self, x: float) -> float:
        return exp(x * x)

    def df(self, x: float) -> float:
        return 2.0 * x * exp(x * x) if x else 0.0


class Stepwise(Unary):
    """A staircase: its derivative is 0 wherever it has one."""

    def f(self, x: float) -> float:
        return float(math.floor(x)) if math.isfinite(x) else x

    def df(self, x: float) -> float:
        return 0.0


class Piecewise(Op):
    """Two rows at a time, through slices and an index, without the helpers."""

    def shapes(self, x: Any) -> Any:
        return {"out": x}

    def forward(self, out: Any, x: Any) -> None:
        a, b = x.cast("B").cast(x.format), out.cast("B").cast(x.format)
        for start in range(0, len(a), 2):
            for i in range(start, min(start + 2, len(a))):
                b[i] = 3.0 * a[i]

    def backward(self, d_x: Any, d_out: Any) -> None:
        if d_x is not None:
            d = flat(d_x)
            for i, g in enumerate(flat(d_out)):
                d[i] += 3.0 * g


class Delegating(SoftmaxOp):
    """Another op does the work."""

    def forward(self, out: Any, x: Any) -> None:
        OPS["softmax"].forward(out, x)


class Summing(Op):
    """All rows to one: the output is smaller than the input, and nothing is saved."""

    def shapes(self, x: Any) -> Any:
        return {"out": x[-1:]}

    def forward(self, out: Any, x: Any) -> None:
        write(out, list(map(sum, zip(*rows(x).tolist()))))

    def backward(self, d_x: Any, d_out: Any) -> None:
        if d_x is not None:
            accumulate(d_x, flat(d_out).tolist() * (len(flat(d_x)) // len(flat(d_out))))


RIGHT_OPS = [Scaled, Partial, Growing, Stepwise, Piecewise, SoftmaxOp, Delegating, Summing]


@pytest.mark.parametrize("op", RIGHT_OPS, ids=lambda op: op.__name__)
def test_an_unusual_op_is_not_refused(failures, op: type[Op]) -> None:
    assert failures(op_checks(op())) == {}


class Masked(Op):
    """It multiplies by a mask, where there is one: of which the kit knows nothing."""

    def shapes(self, x: Any, mask: Any = None) -> Any:
        self.expect("mask", mask, x)
        return {"out": x}

    def forward(self, out: Any, x: Any, mask: Any) -> None:
        write(out, [a * b for a, b in zip(flat(x), flat(mask) if mask is not None else [1.0] * len(flat(x)))])

    def backward(self, d_x: Any, d_mask: Any, d_out: Any, x: Any, mask: Any) -> None:
        if d_x is not None:
            accumulate(
                d_x, [a * b for a, b in zip(flat(d_out), flat(mask) if mask is not None else [1.0] * len(flat(x)))]
            )


def test_an_input_that_nobody_gave_is_said_to_be_untried(failures) -> None:
    results = {check.name: check.run() for check in op_checks(Masked())}
    assert results["tries_every_input"].state == "skipped"
    assert results["tries_every_input"].notes[0].startswith("mask was never given; say it in the class: examples = [")
    found = failures(op_checks(Masked(), examples=[{"x": (3, 5), "mask": (3, 5)}]))
    assert found["derivative"][0].startswith("d_mask is missing: all zeros")


class Rowed(Backend):
    name = "rowed"

    def view(self, buffer: Any) -> Any:
        return flat(buffer)


class Relu(Kernel):
    """relu, number by number: the control."""

    scale = 1.0

    def forward(self, out: Any, x: Any) -> None:
        for i in range(len(out)):
            out[i] = x[i] if not x[i] <= 0.0 else 0.0

    def backward(self, d_x: Any, d_out: Any, x: Any) -> None:
        for i in range(0 if d_x is None else len(d_x)):
            d_x[i] += self.scale * d_out[i] * (not x[i] <= 0.0)


class SlightlyOff(Relu):
    """Three millionths: more than rounding, less than what the kit once let pass."""

    scale = 1.0 + 3e-6


class Coarse(Relu):
    """Steps of a millionth of the largest number of all rows: the smaller rows are lost in them."""

    def forward(self, out: Any, x: Any) -> None:
        super().forward(out, x)
        step = 2e-6 * max(map(abs, x))
        for i in range(len(out)):
            out[i] = step * round(out[i] / step) if step and math.isfinite(step) else out[i]


class Tiny(Relu):
    """What is small it takes for nothing, gradients too."""

    def backward(self, d_x: Any, d_out: Any, x: Any) -> None:
        for i in range(0 if d_x is None else len(d_x)):
            d_x[i] += d_out[i] * (x[i] > 1e-4)


class Half(Relu):
    """Only whole vectors of four: the rest is left as it was."""

    def backward(self, d_x: Any, d_out: Any, x: Any) -> None:
        for i in range(0 if d_x is None else len(d_x) // 4 * 4):
            d_x[i] += d_out[i] * (x[i] > 0.0)


class Truthful(Relu):
    """`supports` answers the other question: None is yes."""

    def supports(self, shapes: Any, formats: Any) -> Any:
        return True


class Ignoring(Relu):
    """The gradient that comes in it takes for ones."""

    def backward(self, d_x: Any, d_out: Any, x: Any) -> None:
        for i in range(0 if d_x is None else len(d_x)):
            d_x[i] += x[i] > 0.0


GRADED = [{"x": [[3e4, -2e4, 1e4], [3.0, -2.0, 1.5], [2e-5, -3e-5, 4e-5]]}]
WRONG_KERNELS = [
    (SlightlyOff, "agrees_with_reference", "e-06 of the largest of its row, allowed 1e-06 (d_x["),
    (Coarse, "agrees_with_reference", "of the largest of its row, allowed 1e-06 (out[2, "),
    (Tiny, "agrees_with_reference", "d_x is wrong in 2 of 9 numbers (d_x[2, "),
    (Half, "agrees_with_reference", "d_x is wrong in "),
    (Truthful, "overwrites", "its `supports` refuses every case of relu(x)"),
    (Ignoring, "agrees_with_reference", "d_x is wrong in "),
]


@pytest.mark.parametrize(("broken", "check", "said"), WRONG_KERNELS, ids=[bug.__name__ for bug, _, _ in WRONG_KERNELS])
def test_a_kernel_s_mistake_is_found(failures, broken: type[Kernel], check: str, said: str) -> None:
    assert said in failures(kernel_checks(broken(), OPS["relu"], Rowed(), examples=GRADED))[check][0]


class Small(Relu):
    """Made for rows of three: the large case, where memory is looked at, isn't one."""

    def supports(self, shapes: Any, formats: Any) -> str | None:
        return None if shapes["d_x" if "d_x" in shapes else "x"][-1] == 3 else "only rows of three"


class Prepared(Relu):
    """All that a call can know beforehand it asks once."""

    def prepare(self, method: Any, views: Any, attributes: Any, workspace: Any) -> Any:
        arguments = tuple(views.values())
        return lambda: getattr(self, method)(*arguments)


class Backwards(Relu):
    """From the last number to the first."""

    def forward(self, out: Any, x: Any) -> None:
        for i in reversed(range(len(out))):
            out[i] = x[i] if not x[i] <= 0.0 else 0.0


class Borrowing(Relu):
    """It uses the input's memory meanwhile, and gives it back."""

    def forward(self, out: Any, x: Any) -> None:
        super().forward(out, x)
        kept, x[0] = x[0], 7.0
        x[0] = kept


@pytest.mark.parametrize("kernel", [Relu, Small, Prepared, Backwards, Borrowing])
def test_an_unusual_kernel_is_not_refused(failures, kernel: type[Kernel]) -> None:
    examples = [{"x": (3, 3)}, {"x": (7,)}, *GRADED]
    assert failures(kernel_checks(kernel(), OPS["relu"], Rowed(), examples=examples)) == {}
    if kernel is Small:
        assert failures(kernel_checks(kernel(), OPS["relu"], Rowed())) != {}  # none of the core's cases has three


class Ready(Backend):
    name = "ready"

    def unavailable(self) -> Any:
        return False


class Silent(Backend):
    name = "silent"

    def unavailable(self) -> str:
        return ""


@pytest.mark.parametrize(("backend", "passes"), [(Rowed, True), (Ready, False), (Silent, False)])
def test_a_backend_that_auto_would_never_take_is_found(failures, backend: type[Backend], passes: bool) -> None:
    found = failures(checks("backend", [says_whether_it_can_run], backend))
    assert (found == {}) == passes


class Words(Dataset):
    name = "words"


class Listed(Words):
    """A list is no iterator, but can be read as one, again and again."""

    def documents(self, split: str) -> Any:
        return ["a", "b"] if split == "train" else ["c"]


class Unheld(Words):
    """It holds nothing out."""

    def documents(self, split: str) -> Any:
        return iter(["a", "b"] if split == "train" else [])


class Late(Words):
    """Every validation text comes again with a space in front, and an empty one between."""

    def documents(self, split: str) -> Any:
        return iter(["a", "", "b"] if split == "train" else [" a", "", "c"])


class Splitless(Words):
    def documents(self, split: str) -> Any:
        return iter(["a", "b"])


class Seeded(Words):
    """One generator for all calls, seeded once."""

    def __post_init__(self) -> None:
        import random

        self.rng = random.Random(0)

    def documents(self, split: str) -> Any:
        words = [f"{split} {i}" for i in range(9)]
        self.rng.shuffle(words)
        return iter(words)


class Lines(Words):
    def documents(self, split: str) -> Any:
        return iter([split.encode()])


def _seeded() -> Seeded:
    made = Seeded()
    made.__post_init__()
    return made


WRONG_DATASETS = [
    (Splitless, "splits_are_disjoint"),
    (_seeded, "same_order_each_call"),
    (Lines, "gives_documents"),
]


@pytest.mark.parametrize(("make", "check"), WRONG_DATASETS, ids=[check for _, check in WRONG_DATASETS])
def test_a_dataset_s_mistake_is_found(failures, make: Any, check: str) -> None:
    assert check in failures(dataset_checks(make())[:3])


@pytest.mark.parametrize("dataset", [Listed, Unheld, Late])
def test_an_unusual_dataset_is_not_refused(failures, dataset: type[Dataset]) -> None:
    assert failures(dataset_checks(dataset())) == {}


class Whole(Schedule):
    """Whole numbers."""

    name = "whole"

    def factor(self, step: int, max_steps: int) -> Any:
        return 1 if 2 * step < max_steps else 0


class Decaying(Schedule):
    """It remembers what it has computed: the answers are the same."""

    name = "decaying"

    def factor(self, step: int, max_steps: int) -> float:
        self.known = {**getattr(self, "known", {}), step: 0.99**step}
        return self.known[step]


class Percent(Schedule):
    """As a percentage."""

    name = "percent"

    def factor(self, step: int, max_steps: int) -> float:
        return 100.0 * (1 - step / max_steps)


class Counted(Schedule):
    """It counts its calls for steps."""

    name = "counted"

    def factor(self, step: int, max_steps: int) -> float:
        self.calls = getattr(self, "calls", 0) + 1
        return 1.0 / self.calls


@pytest.mark.parametrize(
    ("schedule", "check"),
    [(Whole, None), (Decaying, None), (Percent, "factors_are_sensible"), (Counted, "factors_are_pure")],
)
def test_schedules(failures, schedule: type[Schedule], check: str | None) -> None:
    assert set(failures(schedule_checks(schedule()))) == ({check} if check else set())
