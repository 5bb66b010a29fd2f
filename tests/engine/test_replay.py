"""Replay against eager code: the same numbers, the same bits each time, no memory more from step to step."""

import random
import sys
from collections import OrderedDict
from typing import NamedTuple

import pytest

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.region import Region
from microgpt_core.errors import CaptureError, DoesNotFitError, ShapeError


class MLP:
    """Two layers written by hand, without any of the model's parts."""

    block_size, vocab_size = 5, 4

    def allocate(self, precision):
        rng = random.Random(1)

        def matrix(rows, columns):
            numbers = [[rng.gauss(0, 0.5) for _ in range(columns)] for _ in range(rows)]
            return mg.tensor(numbers, precision, requires_grad=True)

        self.table, self.w1, self.w2 = matrix(4, 3), matrix(7, 3), matrix(4, 7)
        self.bias = mg.tensor([0.1 * i for i in range(7)], precision, requires_grad=True)

    def initialise(self, rng): ...

    def parameters(self):
        return [self.table, self.w1, self.w2, self.bias]

    def __call__(self, tokens, positions):
        h = ops.linear(ops.embedding(tokens, self.table), self.w1, self.bias)
        for _ in range(2):  # the same weights twice
            h = ops.relu2(h) * 0.5 + ops.softmax(h)
        return ops.linear(h, self.w2)


def gpt(**fields):
    return mg.GPT(**{"vocab_size": 7, "block_size": 5, "n_head": 2, "n_embd": 4, "init_output_std": 0.02, **fields})


MODELS = {
    "mlp": MLP,
    "gpt, 1 layer": lambda: gpt(),
    "gpt, 3 layers": lambda: gpt(n_layer=3, n_embd=6, n_head=3),
    "gpt, 1 head, relu": lambda: gpt(n_head=1, activation="relu", mlp_ratio=1),
    "gpt, zeros as it starts": lambda: gpt(init_output_std=0.0),
}


def allocated(name, precision):
    model = MODELS[name]()
    model.allocate(precision)
    model.initialise(random.Random(5))
    return model


def batch(model, shape=(2, 4), seed=0):
    rng = random.Random(seed)
    rows, width = shape

    def row(limit):
        return mg.tensor([[rng.randrange(limit) for _ in range(width)] for _ in range(rows)], "int32")

    return row(model.vocab_size), row(model.vocab_size), mg.tensor([list(range(width))] * rows, "int32")


def step_of(model):
    def step(tokens, targets, positions):
        logits = model(tokens, positions)
        loss = ops.cross_entropy(logits, targets)
        loss.backward()
        return loss, logits

    return step


def run(model, step, inputs):
    """The bits of what a step returns, and of every gradient it leaves."""
    for p in model.parameters():
        p.zero_grad()
    results = [bytes(t.data) for t in step(*inputs)]
    return results + [bytes(p.grad.data) for p in model.parameters()]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_eager_and_replay_give_the_same_bits(name, precision):
    model = allocated(name, precision)
    step = step_of(model)
    captured = Captured(step, quiet=True)
    for shape in ((2, 4), (1, 5), (2, 4)):  # the third uses the first's plan again
        inputs = batch(model, shape, seed=sum(shape))
        eager = run(model, step, inputs)
        assert all(any(bits) for bits in eager[2:]) or "zeros" in name  # no gradient is missing
        assert run(model, captured, inputs) == eager
        assert run(model, captured, inputs) == eager  # two replays
    assert captured.captures == 2
    assert run(model, mg.capture(step, *inputs), inputs) == eager  # captured anew


def test_gradients_of_several_replays_add_up_as_eager_ones_do():
    model = allocated("gpt, 1 layer", "float64")
    step, found = step_of(model), []
    for f in (step, mg.capture(step, *batch(model))):
        for p in model.parameters():
            p.zero_grad()
        for seed in range(3):
            f(*batch(model, seed=seed))
        found.append([bytes(p.grad.data) for p in model.parameters()])
    assert found[0] == found[1]


STEPS = """
import random, sys
from array import array
from itertools import repeat
import microgpt_core as mg
from microgpt_core import ops

model = mg.GPT(vocab_size=5, block_size=4, n_head=2, n_embd=4, init_output_std=0.02)
model.allocate()
model.initialise(random.Random(1))

def train(tokens, targets, positions, lr):
    loss = ops.cross_entropy(LOGITS, targets)
    loss.backward()
    factor = ops.clip_factor(ops.global_norm(model.gradients), max_norm=1.0)
    for p in model.parameters():
        ops.sgd_update(p, p.grad, factor, lr, lr)
    ops.zero(model.gradients)
    return loss, {"factor": factor}

def inputs():
    ids = mg.tensor([[0, 1, 2, 3]], "int32")
    return ids, mg.tensor([[1, 2, 3, 4]], "int32"), ids, mg.tensor([0.01])

step = mg.capture(train, *inputs())

def blocks():
    return sys.getallocatedblocks()

def pages():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

held = array("q", [0, 0])  # at step 10 and at step 1,000
for at, n in (0, 10), (1, 990):
    for _ in repeat(None, n):
        step(*inputs())[0].item()
    held[at] = MEASURE()

print(held[1] - held[0])
"""

LOGITS = ["model.lm_head(model.wte(tokens))", "model(tokens, positions)"]


@pytest.mark.parametrize("logits", LOGITS)
def test_step_1000_holds_as_many_blocks_as_step_10(run_python, logits):
    assert int(run_python(STEPS.replace("LOGITS", logits).replace("MEASURE", "blocks"))) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
@pytest.mark.parametrize("logits", LOGITS)
def test_step_1000_holds_as_much_memory_as_step_10(run_python, logits):
    assert int(run_python(STEPS.replace("LOGITS", logits).replace("MEASURE", "pages"))) <= 0


class Pair(NamedTuple):
    left: mg.Tensor
    right: mg.Tensor | None


A, B = mg.tensor([1.0, 2.0]), mg.tensor([10.0, 20.0])

NESTED = [
    (lambda a, b: a + b, (A, B), lambda r: r.tolist(), [11.0, 22.0]),
    (lambda p: p["a"] - p["b"], ({"a": A, "b": B},), lambda r: r.tolist(), [-9.0, -18.0]),
    (lambda p: p["a"] - p["b"], ({"b": B, "a": A},), lambda r: r.tolist(), [-9.0, -18.0]),
    (lambda p: p.left - p.right, (Pair(A, B),), lambda r: r.tolist(), [-9.0, -18.0]),
    (lambda p: p.left * 2 if p.right is None else p.left, (Pair(A, None),), lambda r: r.tolist(), [2.0, 4.0]),
    (lambda ps: ps[0][1][0] + ps[1], ([(None, [A]), B],), lambda r: r.tolist(), [11.0, 22.0]),
    (lambda a: Pair(a * 2, None), (A,), lambda r: (type(r), r.left.tolist(), r.right), (Pair, [2.0, 4.0], None)),
    (
        lambda a: {"x": [a * 2], "y": (a,)},
        (A,),
        lambda r: (r["x"][0].tolist(), r["y"][0].tolist()),
        ([2.0, 4.0], [1.0, 2.0]),
    ),
    (lambda a: OrderedDict(b=a * 2, a=a), (A,), lambda r: [*r], ["b", "a"]),
    (lambda a: None, (A,), lambda r: r, None),
    (lambda: [], (), lambda r: r, []),
    (lambda: A * 3, (), lambda r: r.tolist(), [3.0, 6.0]),
]


@pytest.mark.parametrize(("f", "inputs", "read", "expected"), NESTED)
def test_inputs_and_results_may_be_nested(f, inputs, read, expected):
    assert read(f(*inputs)) == expected
    captured = mg.capture(f, *inputs)
    assert read(captured(*inputs)) == expected
    assert read(captured(*inputs)) == expected
    assert captured.captures == 1


def test_a_structure_is_part_of_what_a_plan_is_made_for():
    f = Captured(lambda p: p["a"] - p["b"], quiet=True)
    assert f({"a": A, "b": B}).tolist() == [-9.0, -18.0]
    assert f({"b": B, "a": A}).tolist() == [-9.0, -18.0]  # another order of the same names
    g = Captured(lambda a, b: b * 3 if a is None else a, quiet=True)
    assert g(A, None).tolist() == [1.0, 2.0]
    assert g(None, A).tolist() == [3.0, 6.0]
    h = Captured(lambda pairs: pairs[0][0] - pairs[-1][-1], quiet=True)
    assert h([[A], [B, A]]).tolist() == h([[A, B], [A]]).tolist() == [0.0, 0.0]
    assert h([[A, A], [B]]).tolist() == [-9.0, -18.0]


def test_plans_are_kept_up_to_a_limit():
    f = Captured(lambda x: x * 2, quiet=True, limit=2)
    sizes = [mg.tensor([1.0] * n) for n in (1, 2, 3)]
    for x in (sizes[0], sizes[1], sizes[0], sizes[2]):
        assert f(x).tolist() == [2.0] * x.shape[0]
    assert f.captures == 3
    assert f.plan.values[0].shape == (3,)
    f(sizes[0])  # used more lately than [1]: still there
    assert f.captures == 3
    f(sizes[1])
    assert f.captures == 4
    with pytest.raises(CaptureError, match="nothing is captured yet"):
        Captured(f).plan  # noqa: B018


def test_the_plans_of_a_function_share_one_region():
    f = Captured(lambda x: ops.relu(x * 2), quiet=True)
    f(mg.tensor([1.0] * 5000))
    before = f.region.nbytes
    f(mg.tensor([1.0] * 500))
    assert f.region.nbytes == before
    small = f(mg.tensor([1.0] * 500))
    f(mg.tensor([2.0] * 50_000))
    assert f.region.nbytes > before
    with pytest.raises(mg.MicrogptError):
        small.tolist()
    assert f(mg.tensor([1.0] * 500)).tolist() == [2.0] * 500


def test_a_replay_checks_what_it_is_given():
    replay = mg.capture(lambda x: x * 2, A).replay_for(A)
    with pytest.raises(ShapeError, match=r"a replay's input is float32 \(3,\), captured was float32 \(2,\)"):
        replay(mg.tensor([1.0, 2.0, 3.0]))
    with pytest.raises(ShapeError, match="input is float64"):
        replay(mg.tensor([1.0, 2.0], "float64"))
    assert replay(B)[0].tolist() == [20.0, 40.0]


def test_memory_that_can_not_be_had_is_an_error_of_its_own():
    with pytest.raises(DoesNotFitError, match="bytes of memory could not be had .* smaller"):
        Region(2**62)


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {"microgpt_core"}:
            raise ImportError(f"blocked: {name}")
sys.meta_path.insert(0, Block())
import microgpt_core.engine.capture
print("imported")
"""


def test_the_engine_imports_python_alone(run_python):
    assert run_python(BLOCKED).strip() == "imported"
    with pytest.raises(AssertionError):
        run_python(BLOCKED + "import yaml")  # the control


def test_a_timed_replay_is_a_replay_and_says_what_each_call_took():
    weights = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    replay = capture_of(lambda x: ops.relu2(ops.linear(x, weights)) * 2.0)
    x = mg.tensor([[1.0, -1.0]])
    times = replay(x).timed(x)
    assert len(times) == len(replay(x).plan.calls) == 3
    assert all(ns >= 0 for ns in times)
    assert sum(times) > 0


def capture_of(function):
    """The replay for given inputs."""
    captured = Captured(function)
    return captured.replay_for
