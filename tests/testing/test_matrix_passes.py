"""Bugs of passes x checks: each is found by its check, and each check has its bug. The controls rewrite as well."""

from array import array
from dataclasses import replace
from itertools import count

import pytest

from microgpt_core import ops, testing
from microgpt_core.components import Pass, flat, write
from microgpt_core.engine.value import Call, Value
from microgpt_core.ops.linear import Linear
from microgpt_core.testing.passes import pass_checks


class Halves(Linear):
    """Sums in two parts, each rounded: the same numbers, but for their last bits."""

    name = "halves"

    def forward(self, out, x, weight, bias):
        n = x.shape[-1] // 2
        first, second = (array(x.format, bytes(out.nbytes)) for _ in range(2))
        for part, columns in ((first, slice(None, n)), (second, slice(n, None))):
            pairs = ((row[columns], w[columns]) for row in rows_of(x) for w in rows_of(weight))
            part[:] = array(x.format, [sum(map(float.__mul__, a, b)) for a, b in pairs])
        ends = flat(bias).tolist() * (len(first) // len(bias)) if bias is not None else [0.0] * len(first)
        write(out, map(sum, zip(first, second, ends)))


def rows_of(x):
    numbers, width = flat(x).tolist(), x.shape[-1]
    return [numbers[i : i + width] for i in range(0, len(numbers), width)]


class Right(Pass):
    """The control."""

    name = "right"

    def rewrite(self, trace, kept):
        return replace(trace, calls=[self.change(call) for call in trace.calls])

    def change(self, call):
        return replace(call, op=Halves()) if call.op is ops.linear else call


class Idle(Right):
    """Another: where there is nothing to do, it returns what it was given."""

    def rewrite(self, trace, kept):
        return trace


class InPlace(Right):
    def rewrite(self, trace, kept):
        for call in trace.calls:
            call.op = Halves() if call.op is ops.linear else call.op
        return trace


class Shortening(Right):
    """The list of calls is the trace's own."""

    def rewrite(self, trace, kept):
        trace.calls.reverse()
        trace.calls.reverse()
        trace.calls[:] = [self.change(call) for call in trace.calls]
        return trace


class Naming(Right):
    """What a call makes gets a name, for good."""

    def change(self, call):
        for value in call.overwrites.values():
            value.name = "made"
        return call


class Rerouting(Right):
    """Layers hand on other values than before, which no analyzer knows of."""

    def rewrite(self, trace, kept):
        made = [v for c in trace.calls if c.op is ops.linear for v in c.overwrites.values()]
        other = {v: Value(v.shape, v.format) for v in made}
        calls = [replace(c, arguments={n: other.get(v, v) for n, v in c.arguments.items()}) for c in trace.calls]
        return replace(trace, calls=calls)


class Returning(Right):
    """The loss is another value."""

    def rewrite(self, trace, kept):
        other = {v: Value(v.shape, v.format) for v in trace.outputs}
        calls = [replace(c, arguments={n: other.get(v, v) for n, v in c.arguments.items()}) for c in trace.calls]
        return replace(trace, calls=calls, outputs=list(other.values()))


class Summing(Right):
    """The loss of all tokens, not their mean."""

    def change(self, call):
        given = call.arguments
        return replace(call, arguments={**given, "scale": None}) if call.op is ops.cross_entropy else call


class Unbiased(Right):
    """Biases learn nothing."""

    def change(self, call):
        given = call.arguments
        return replace(call, arguments={**given, "d_bias": None}) if "d_bias" in given else call


class Setting(Right):
    """A gradient is set where the step's earlier batch has left its own."""

    def rewrite(self, trace, kept):
        calls = []
        for call in trace.calls:
            if call.op is ops.linear and call.method == "backward" and (d_weight := call.arguments["d_weight"]):
                calls.append(Call(ops.zero, "forward", {"x": d_weight}, {}))
            calls.append(call)
        return replace(trace, calls=calls)


class Coarse(Right):
    """Another constant than the norm's own."""

    def change(self, call):
        return with_eps(call, lambda eps: 1e-3)


class Boasting(Right):
    """As near as float64 would be, it says."""

    tolerance = 1e-12


class Counting(Right):
    """A number that is another each time."""

    number = count()

    def change(self, call):
        return replace(call, scope=f"{call.scope}.{next(self.number)}")


class Creeping(Right):
    """Within its tolerance, and again, and again."""

    tolerance = 3e-3

    def change(self, call):
        return with_eps(call, lambda eps: eps * 10)


class Once(Right):
    """It doesn't know what it has made itself."""

    def rewrite(self, trace, kept):
        if any(isinstance(call.op, Halves) for call in trace.calls):
            raise ValueError("somebody was here before")
        return super().rewrite(trace, kept)


class Copies(Right):
    """Every weight is read from a copy, made once."""

    def __init__(self):
        self.copies = {}

    def change(self, call):
        if call.op is not ops.linear:
            return call
        weight = call.arguments["weight"]
        if weight not in self.copies:
            copy = self.copies[weight] = Value(weight.shape, weight.format, name=weight.name, persistent=True)
            copy.allocate()
            flat(copy.data)[:] = flat(weight.data)
        return replace(call, arguments={**call.arguments, "weight": self.copies[weight]})


class FreshCopies(Copies):
    def renew(self):
        for weight, copy in self.copies.items():
            flat(copy.data)[:] = flat(weight.data)


class Keeping(Idle):
    """A session goes on with the weights that it began with."""

    def session(self, kernels):
        return Copies()


class Renewing(Idle):
    """A control that keeps something as well."""

    def session(self, kernels):
        return FreshCopies()


def with_eps(call, change):
    given = call.attributes
    norms = ops.rmsnorm, ops.layernorm
    return replace(call, attributes={**given, "eps": change(given["eps"])}) if call.op in norms else call


PASSES = [
    (InPlace, "leaves_the_trace", "microgpt, training: it changes the op of a call of the trace that it is given"),
    (Shortening, "leaves_the_trace", "microgpt, training: it changes the list of calls of the trace that it is given"),
    (Naming, "leaves_the_trace", "microgpt, training: it changes a value of the trace that it is given"),
    (Rerouting, "keeps_what_is_read", "microgpt, training, all of it watched: "),
    (Returning, "keeps_what_is_read", "microgpt, training: the trace has other inputs or outputs"),
    (Summing, "computes_the_same", "microgpt: "),
    (Unbiased, "computes_the_same", "GPT-2: the gradient of "),
    (Setting, "computes_the_same", "microgpt: the gradient of "),
    (Coarse, "computes_the_same", "allowed, as its tolerance: 1e-06"),
    (Boasting, "computes_the_same", "allowed, as its tolerance: 1e-12"),
    (Counting, "makes_the_same_plan", "microgpt, training: it makes another plan of the same function the next time"),
    (Creeping, "may_come_twice", "applied twice, "),
    (Keeping, "follows_parameters", "microgpt: a session's next text is read with what parameters were"),
    (Once, "may_come_twice", "ValueError: somebody was here before test_matrix_passes.py:"),
]


@pytest.mark.parametrize(("broken", "check", "said"), PASSES, ids=[bug.__name__ for bug, _, _ in PASSES])
def test_a_pass_s_bug_is_found(failures, broken, check, said) -> None:
    assert said in failures(c for c in pass_checks(broken()) if c.name == check)[check][0]


@pytest.mark.parametrize("right", [Right, Idle, Renewing])
def test_what_is_right_passes(failures, right) -> None:
    assert failures(pass_checks(right())) == {}


def test_one_that_creeps_is_near_enough_the_first_time(failures) -> None:
    assert failures(pass_checks(Creeping())).keys() == {"may_come_twice"}


def test_every_check_of_passes_has_its_bug() -> None:
    assert {check for _, check, _ in PASSES} == {check.name for check in pass_checks(Right())}
    assert testing.check_pass(Idle())
