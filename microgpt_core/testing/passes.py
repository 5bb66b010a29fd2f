"""What every pass promises: other calls, and the numbers stay what they were, as near as it says itself.

It is tried on plans of small models: training, evaluation, writing and an update, all run by the reference.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, isfinite
from random import Random
from typing import Any, TypeAlias

from microgpt_core.components import Pass, flat, write
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.capture import record
from microgpt_core.engine.planner import find_watched, make_plan
from microgpt_core.engine.value import Trace
from microgpt_core.errors import CaptureError
from microgpt_core.inference.session import Session
from microgpt_core.models.gpt import GPT
from microgpt_core.testing.report import Check, checks
from microgpt_core.text.batch import packed, windows
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.update import Update

SIZES = {"vocab_size": 11, "block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 8}
WEIGHTS = {"init_std": 0.4, "init_output_std": 0.4}  # so large that nothing in it is nearly linear
GPT2 = {
    "norm": "layernorm", "norm_weight": True, "norm_bias": True, "norm_embedding": False, "norm_final": True,
    "bias": True, "tie_weights": True, "activation": "gelu_tanh", "dropout": 0.2,
}  # fmt: skip
LLAMA = {
    "n_kv_head": 1, "norm_weight": True, "norm_embedding": False, "norm_final": True, "position": "rope",
    "activation": "swiglu",
}  # fmt: skip
EVERYTHING = ("*",)  # as an analyzer may watch: all that has a label, and its gradients
NOISE = 1e-6  # of the largest number
OPTIMIZER = AdamW(lr=0.01, weight_decay=0.3)
STREAM = array("i", [Random(1).randrange(11) for _ in range(40)])
WINDOW = (windows(STREAM, [0, 7], 8), packed([STREAM[:5], STREAM[9:16]], 16))  # of one step: their gradients add up
Numbers: TypeAlias = dict[str, list[float]]


@dataclass(frozen=True)
class Subject:
    """A model that passes are tried on."""

    fields: Mapping[str, Any]
    precision: str = "float32"
    frozen: Sequence[str] = ()
    label_smoothing: float = 0.0

    def make(self) -> GPT:
        model = GPT(**{**SIZES, **WEIGHTS, **self.fields})
        model.freeze(self.frozen)
        model.allocate(self.precision)
        model.initialise(Random(1))
        return model

    def loss(self, model: GPT, passes: Sequence[Pass] = (), watch: Sequence[str] = ()) -> BatchLoss:
        return BatchLoss(model, self.label_smoothing, Kernels(passes=passes), seed=1, watch=watch)


SUBJECTS = {
    "microgpt": Subject({"n_layer": 2}),
    "GPT-2": Subject(GPT2, label_smoothing=0.1),
    "Llama": Subject(LLAMA),
    "a model in float64": Subject({}, "float64"),
    "a model with frozen matrices": Subject({}, frozen=("lm_head", "block.0.mlp.fc1")),
}


def pass_checks(each: Pass, component: str = "") -> list[Check]:
    """The checks of a pass, with the reference for every op, those that the pass brings among them."""
    return checks(component or f"pass {each.name}", RULES, lambda: each)


def leaves_the_trace(each: Pass) -> Iterator[str]:
    """The trace that it is given, its calls and their values stay as they were: others may still need them."""
    for where, trace in traces():
        before = contents(trace)
        each.rewrite(trace, kept(trace, EVERYTHING))
        if changed := [part for part, was in before.items() if contents(trace)[part] != was]:
            yield f"{where}: it changes {changed[0]} of the trace that it is given; make others: replace(call, op=...)"
            return


def keeps_what_is_read(each: Pass) -> Iterator[str]:
    """What goes in and out stays the same, and what is returned or watched is still computed."""
    for where, trace in traces():
        found = each.rewrite(trace, kept(trace, EVERYTHING))
        if (found.inputs, found.outputs) != (trace.inputs, trace.outputs):
            yield f"{where}: the trace has other inputs or outputs; they are read by whoever captured it"
            return
        for watch, what in (((), ""), (EVERYTHING, ", all of it watched")):
            try:
                make_plan(trace, Kernels(passes=[each]), watch)
            except CaptureError as error:
                yield f"{where}{what}: {error}"
                return


def computes_the_same(each: Pass) -> Iterator[str]:
    """Losses, gradients, logits, what is watched and what an update makes of weights are what they are without it."""
    for name in SUBJECTS:
        for watch in ((), EVERYTHING):
            if said := difference(each, name, (each,), watch):
                yield said
                return


def makes_the_same_plan(each: Pass) -> Iterator[str]:
    """Of one trace, and of one function captured again, it makes one plan, to the digest."""
    kernels = Kernels(passes=[each])
    for (where, trace), (_, again) in zip(traces(), traces()):
        if len({make_plan(one, kernels)[0].digest for one in (trace, trace, again)}) > 1:
            yield f"{where}: it makes another plan of the same function the next time"
            return


def may_come_twice(each: Pass) -> Iterator[str]:
    """After itself it does no harm: what it has made, it lets alone."""
    for name in SUBJECTS:
        if said := difference(each, name, (each, each)):
            yield f"applied twice, {said}"
            return


def follows_parameters(each: Pass) -> Iterator[str]:
    """A session that begins another text computes with the parameters as they are by then."""
    for name, subject in SUBJECTS.items():
        model = subject.make()
        session = Session(model, Kernels(passes=[each]))
        session.read([[3, 1, 4]])
        model.initialise(Random(2))
        session.reset()
        if session.read([[3, 1, 4]]) != Session(model, Kernels(passes=[each])).read([[3, 1, 4]]):
            yield f"{name}: a session's next text is read with what parameters were; see Pass.renew"
            return


def traces() -> Iterator[tuple[str, Trace]]:
    """What each model does in training, and in evaluation."""
    for name, subject in SUBJECTS.items():
        model = subject.make()
        loss = subject.loss(model)
        (inputs,) = loss.window_inputs(WINDOW[:1])
        yield f"{name}, training", record(loss.step, inputs)[0]
        yield f"{name}, evaluation", record(loss.value, inputs[:4])[0]


def kept(trace: Trace, watch: Sequence[str] = ()) -> list[Any]:
    """The values that are read when a plan is done."""
    return [*trace.outputs, *find_watched(trace, watch).values()]


def contents(trace: Trace) -> dict[str, Any]:
    """Everything in a trace that could be changed."""
    calls = [(c.op, c.method, c.scope, c.again) for c in trace.calls]
    values = {v for c in trace.calls for v in c.arguments.values() if v is not None}
    return {
        "the list of calls": list(map(id, trace.calls)),
        "the op of a call": calls,
        "the arguments of a call": [list(c.arguments.items()) for c in trace.calls],
        "the attributes of a call": [dict(c.attributes) for c in trace.calls],
        "a value": {v: (v.shape, v.format, id(v.data), v.name, v.persistent, v.gradient_of) for v in values},
        "inputs, outputs or labels": [list(trace.inputs), list(trace.outputs), dict(trace.labels)],
    }


def difference(each: Pass, name: str, passes: tuple[Pass, ...], watch: tuple[str, ...] = ()) -> str:
    """Which number of a model is furthest from what it is without passes; "" where all are near enough."""
    expected, found = numbers(name, watch), computed(name, passes, watch)
    largest = max(size(values) for values in expected.values())
    errors = {what: distance(found.get(what, []), values, largest) for what, values in expected.items()}
    what, error = max(errors.items(), key=lambda item: item[1])
    if error <= each.tolerance:
        return ""
    watched = ", all of it watched" if watch else ""
    return f"{name}{watched}: {what} is off by {error:.1e} of its size; allowed, as its tolerance: {each.tolerance}"


@cache
def numbers(name: str, watch: tuple[str, ...]) -> Numbers:
    """What a model computes without passes."""
    return computed(name, (), watch)


def computed(name: str, passes: tuple[Pass, ...], watch: tuple[str, ...] = ()) -> Numbers:
    """What a model computes in training, in evaluation, when it writes, and in its update."""
    subject = SUBJECTS[name]
    model = subject.make()
    loss = subject.loss(model, passes, watch)
    found = {"the loss": [loss.train(WINDOW)]}
    found |= {scope: flat(value).tolist() for scope, value in loss.watched.items()}
    found |= gradients(model)
    if watch:
        return found
    session = Session(model, Kernels(passes=passes))
    found["the loss in evaluation"] = [loss.evaluate(WINDOW)]
    found["a logit"] = [logit for tokens in ([3, 1, 4], [1]) for logit in session.read([tokens])[0]]
    return found | updated(model, passes, found if not passes else numbers(name, ()))


def gradients(model: GPT) -> Numbers:
    found = ((p.name, p.grad) for p in model.parameters())
    return {f"the gradient of {name}": flat(grad.data).tolist() for name, grad in found if grad is not None}


def updated(model: GPT, passes: tuple[Pass, ...], by: Numbers) -> Numbers:
    """The weights after an update by certain gradients: by those that it has, a small error would turn some about."""
    for p in model.parameters():
        if p.grad is not None:
            write(p.grad.data, by[f"the gradient of {p.name}"])
    update = Update(model, OPTIMIZER, 1.0, Kernels(passes=passes))
    update.allocate()
    found = {"the norm of all gradients": [update(OPTIMIZER.lr, 0)]}
    return found | {f"{name} after an update": flat(weights).tolist() for name, weights in model.state().items()}


def distance(found: Sequence[float], expected: Sequence[float], largest: float) -> float:
    """The largest difference beside the largest number; infinite where there is nothing to compare.

    Numbers that are 0 but for rounding, as a key's bias's gradient is, are compared with the `largest` of all.
    """
    if len(found) != len(expected) or not all(map(isfinite, found)):
        return inf
    own = size(expected)
    return max(abs(a - b) for a, b in zip(found, expected)) / (own if own > NOISE * largest else largest)


def size(values: Sequence[float]) -> float:
    return max(map(abs, values))


RULES = (
    leaves_the_trace, keeps_what_is_read, computes_the_same, makes_the_same_plan, may_come_twice, follows_parameters,
)  # fmt: skip
