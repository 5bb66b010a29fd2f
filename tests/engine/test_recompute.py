"""Recompute: the same bits in less memory, for every grouping of blocks; and the plan says what it costs."""

import json
import random

import pytest
from click.testing import CliRunner

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.cli.main import main
from microgpt_core.engine import recompute
from microgpt_core.engine.capture import Captured
from microgpt_core.errors import CaptureError, ConfigurationError
from microgpt_core.text.batch import padded
from microgpt_core.training.loss import BatchLoss, segments
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.settings import TrainSettings
from microgpt_core.training.update import Update

N_LAYER = 3


def gpt(n_layer=N_LAYER, precision="float32"):
    model = mg.GPT(vocab_size=9, block_size=6, n_layer=n_layer, n_head=2, n_embd=8, init_output_std=0.1)
    model.set_precision(precision)
    return model


def trained(precision, size, watch=()):
    """The bits of losses, gradients and weights of three steps, each of two batches."""
    model = gpt()
    model.allocate(precision)
    model.initialise(random.Random(4))
    loss, update = BatchLoss(model, recompute=size), Update(model, AdamW(lr=0.02), 1.0)
    loss.training.watch = watch
    update.allocate()
    rng, bits = random.Random(5), []
    for step in range(3):
        window = [padded([[rng.randrange(9) for _ in range(n)] for n in (5, 3)]) for _ in range(2)]
        bits.append(loss.train(window))
        bits += [bytes(p.grad.data) for p in model.parameters()]
        update(0.02, step)
        bits += [bytes(p.data) for p in model.parameters()]
    assert loss.training.plan.recomputed_flops > 0 or not size
    return bits


@pytest.mark.parametrize("watch", [(), ("block.1.attention.*", "grad block.*"), ("*",)], ids=["", "some", "all"])
@pytest.mark.parametrize("size", [1, 2, N_LAYER, N_LAYER + 5])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_losses_gradients_and_weights_are_the_same_bits(precision, size, watch):
    assert trained(precision, size, watch) == trained(precision, 0)


FAMILY = {
    "dropout": {"dropout": 0.4},
    "as GPT-2": {"norm": "layernorm", "norm_weight": True, "norm_bias": True, "activation": "gelu", "bias": True}
    | {"norm_embedding": False, "norm_final": True, "tie_weights": True},
    "as Llama": {"activation": "swiglu", "position": "rope", "n_kv_head": 1, "norm_weight": True, "window": 3},
    "post-norm": {"norm_placement": "post", "position": "sinusoidal", "activation": "silu"},
}


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", FAMILY)
def test_every_model_of_the_family_has_the_same_bits(name, size):
    def step(tokens, targets, positions, noise):
        logits = model(tokens, positions, None, noise)
        loss = ops.cross_entropy(logits, targets)
        loss.backward()
        return loss, logits

    sizes = {"vocab_size": 9, "block_size": 6, "n_layer": 3, "n_head": 2, "n_embd": 8, "init_output_std": 0.1}
    model = mg.GPT(**{**sizes, **FAMILY[name]})
    model.allocate()
    model.initialise(random.Random(4))
    rows = [[1, 2, 3, 4, 5, 6], [8, 7, 8, 7, 8, 7]], [[2, 3, 4, 5, 6, 7], [1] * 6], [[*range(6)]] * 2, [7, 8, 0]
    inputs = [mg.tensor(numbers, "int32") for numbers in rows]
    found = []
    for groups in ([], segments(model, size)):
        ops.zero(model.gradients)
        captured = mg.capture(step, *inputs, recompute=groups)
        assert any(c.again for c in captured.plan.calls) == bool(groups)
        found.append([*(bytes(t.data) for t in captured(*inputs)), bytes(model.gradients.data)])
    assert found[0] == found[1]


def wrong_input(call, makers, copies):
    """Planted: a copy that reads what the copy before it has made, instead of what it should."""
    copied = right_copy(call, makers, copies)
    x, last = copied.arguments.get("x"), next(reversed(copies), None)
    if x is not None and last is not None and copies[last].shape == x.shape and call.op.name == "linear":
        copied.arguments["x"] = next(v for v in copies.values() if v.shape == x.shape)
    return copied


def wrong_result(call, makers, copies):
    """Planted: a backward that reads a copy of something else of the same shape."""
    copied = right_copy(call, makers, copies)
    same = [v for v in copies if v.shape == next(iter(call.overwrites.values())).shape]
    for value in same:
        copies[value] = copies[same[0]]
    return copied


right_copy = recompute.copy_call


@pytest.mark.parametrize("planted", [wrong_input, wrong_result])
def test_planted_copies_are_found(planted, monkeypatch):
    expected = trained("float64", 0)
    monkeypatch.setattr(recompute, "copy_call", planted)
    assert trained("float64", 1) != expected


BATCH = padded([[1, 2, 3, 4, 5, 6, 7]] * 2)


def plan_of(size, n_layer=8, watch=()):
    loss = BatchLoss(gpt(n_layer), recompute=size)
    return mg.plan_of(loss.step, *loss.inputs(BATCH, 1.0), watch=watch, recompute=loss.segments)


def test_a_deep_model_needs_much_less_memory():
    plain, by_one, by_two = (plan_of(size) for size in (0, 1, 2))
    for again in (by_one, by_two):
        assert again.region_bytes < 0.5 * plain.region_bytes
        assert again.peak_live_bytes < 0.5 * plain.peak_live_bytes
        assert again.region_bytes < 1.02 * again.peak_live_bytes
    for size in (3, 5, 8, 100):
        assert plan_of(size).region_bytes <= plain.region_bytes


def test_planted_a_backward_that_reads_the_first_values_saves_nothing(monkeypatch):
    monkeypatch.setattr(recompute, "renamed", lambda call, copies: dict(call.arguments))
    assert plan_of(1).region_bytes == plan_of(0).region_bytes


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9])
def test_what_is_recomputed_is_all_that_is_added(size):
    plain, again = plan_of(0), plan_of(size)
    assert plain.recomputed_flops == 0
    assert again.flops == plain.flops + again.recomputed_flops
    assert again.bytes == plain.bytes + sum(c.bytes for c in again.calls if c.again)
    assert [(c.op.name, c.method, c.scope) for c in again.calls if not c.again] == [
        (c.op.name, c.method, c.scope) for c in plain.calls
    ]


def test_of_a_block_everything_is_repeated_but_what_leaves_it():
    """By hand, for T = 6 rows of C = 8 and two sequences: the last matrix and the last sum make what leaves."""
    again = [c for c in plan_of(1, n_layer=1).calls if c.again]
    assert [c.op.name for c in again] == [
        "rmsnorm", "linear", "linear", "linear", "attention", "linear", "add", "rmsnorm", "linear", "relu2",
    ]  # fmt: skip
    rows = 2 * 6
    linear = [2 * rows * 8 * 8] * 4 + [2 * rows * 8 * 32]  # q, k, v, o; fc1
    assert [c.flops for c in again if c.op.name == "linear"] == linear
    assert {c.flops for c in again if c.op.name == "add"} == {rows * 8}
    assert {c.method for c in again} == {"forward"}
    first = {(c.scope, c.op.name): c.flops for c in plan_of(0, n_layer=1).calls if c.method == "forward"}
    assert all(c.flops == first[c.scope, c.op.name] for c in again)


def test_the_flops_of_a_window_count_them():
    model = gpt()
    model.allocate()
    rows = [padded([[1, 2, 3]]), padded([[1, 2, 3, 4]])]
    plain, again = BatchLoss(model), BatchLoss(model, recompute=1)
    for loss in (plain, again):
        loss.train(rows)
    extra = [again.training.replay_for(*again.inputs(row, 1.0)).plan.recomputed_flops for row in rows]
    assert again.flops == plain.flops + sum(extra)


def test_values_and_calls_say_that_they_come_again():
    plan = plan_of(1, n_layer=2)
    names = [v.name for v in plan.values]
    assert {"block.0.attention.q", "block.0.attention.q again", "block.1.mlp.fc1 again"} < set(names)
    assert {"block.0.attention.attention.lse", "block.0.attention.attention.lse again"} < set(names)
    assert not {"block.0 again", "block.0.mlp again", "lm_head again"} & set(names)
    first_back = next(
        i for i, c in enumerate(plan.calls) if c.method == "backward" and c.scope == "block.0.attention.q"
    )
    life = {v.name: (v.first, v.last) for v in plan.values}
    assert life["block.0.attention.q"][1] < first_back // 2  # forgotten early in forward
    assert life["block.0.attention.q again"][1] < first_back + 5


def test_a_watched_value_is_kept_and_not_repeated():
    plan = plan_of(1, n_layer=2, watch=["block.0.attention.q", "grad block.*"])
    assert "block.0.attention.q again" not in {v.name for v in plan.values}
    assert plan.values[plan.watched["block.0.attention.q"]].last == len(plan.calls)
    assert len(plan.watched) > 10
    assert not any(scope.endswith("again") for scope in plan_of(1, n_layer=2, watch=["*"]).watched)


def test_a_plan_without_recompute_is_what_it_was_and_with_it_another():
    loss = BatchLoss(gpt(n_layer=8))
    plain = mg.plan_of(loss.step, *loss.inputs(BATCH, 1.0))
    assert plain.digest == plan_of(0).digest
    assert len({plan_of(size).digest for size in (0, 1, 2)}) == 3
    assert "recomputed_flops" not in plain.to_dict()
    data = json.loads(json.dumps(plan_of(1).to_dict()))
    assert data["recomputed_flops"] == sum(c["flops"] for c in data["calls"] if c.get("again")) > 0


def test_without_a_backward_nothing_is_repeated():
    loss = BatchLoss(gpt(), recompute=1)
    plans = [mg.plan_of(loss.value, *loss.inputs(BATCH, 1.0), recompute=r) for r in (loss.segments, ())]
    assert plans[0].digest == plans[1].digest


def leaf(*numbers):
    return mg.tensor(list(numbers), "float64", requires_grad=True)


class Net:
    """Scopes, a value read in two of them, and one that is read again long after it was made."""

    def __init__(self):
        self.w, self.v, self.gain = leaf(0.5, -0.25, 0.125), leaf(1.5, 0.75, -2.0), leaf(1.0, 2.0, 3.0)

    def forward(self, x):
        with mg.scope("a"):
            early = ops.softmax(x * self.w)
            with mg.scope("deep"):
                h = ops.relu2(early + self.v)
        with mg.scope("b"):
            h = ops.rmsnorm(h * h, self.gain)
        with mg.scope("a"):
            return ops.sum(ops.softmax(h * early) * h)

    def once(self, x):
        loss = self.forward(x)
        loss.backward()
        return loss

    def nested(self, x):
        first, second = self.forward(x), self.forward(x * 2)
        second.backward()
        first.backward()
        return first, second

    def in_turn(self, x):
        first = self.once(x)
        return first, self.once(x * 2)

    def twice(self, x):
        loss = self.forward(x)
        loss.backward()
        loss.backward()
        return loss

    def updating(self, x):
        first = self.once(x)
        one = mg.tensor([1.0], "float64")
        ops.sgd_update(self.w, self.w.grad, one, one, one)
        return first, self.once(x)


GROUPS = [[["a"]], [["b"]], [["a.deep"]], [["a"], ["b"]], [["a", "b"]], [["a.deep", "b"], ["a"]], [[], ["b"]]]


@pytest.mark.parametrize("name", ["once", "nested", "in_turn", "twice", "updating"])
@pytest.mark.parametrize("groups", GROUPS, ids=str)
def test_a_function_of_ones_own(name, groups):
    found = []
    for captured in (False, True):
        net, x = Net(), mg.tensor([0.3, -1.0, 2.0], "float64")
        step = getattr(net, name)
        if captured:
            step = mg.capture(step, x, recompute=groups)
            assert any(c.again for c in step.plan.calls)
        for _ in range(2):
            result = step(x)
        results = result if isinstance(result, tuple) else (result,)
        found.append([bytes(t.data) for t in (*results, net.w.grad, net.v.grad, net.gain.grad, net.w)])
    assert found[0] == found[1]


def test_by_hand():
    """Two matrices with a bend between them: one product and the bend are made again, the other product leaves."""
    up, down = (mg.tensor([[0.5] * n] * m, requires_grad=True) for m, n in ((5, 3), (3, 5)))

    def step(x):
        with mg.scope("mlp"):
            y = ops.linear(ops.relu2(ops.linear(x, up)), down)
        ops.sum(y).backward()

    x = mg.tensor([[1.0, 2.0, 3.0]] * 2)
    plan = mg.plan_of(step, x, recompute=[["mlp"]])
    assert [c.op.name for c in plan.calls if c.again] == ["linear", "relu2"]
    bend = next(c.flops for c in plan.calls if c.op.name == "relu2")
    assert plan.recomputed_flops == 2 * 2 * 3 * 5 + bend
    assert bend % (2 * 5) == 0


class Counted(mg.Op):
    """out = n x, where every call moves n by one: made again, it is something else."""

    mutates = ("n",)

    def shapes(self, x, n):
        return {"out": x}

    def forward(self, out, x, n):
        n[0] += 1
        mg.write(out, [v * n[0] for v in x])

    def backward(self, d_x, d_out, x):
        mg.accumulate(d_x, list(d_out))


N = mg.tensor([0.0, 0.0])
W = mg.tensor([1.0, 2.0], requires_grad=True)


def counts(x):
    with mg.scope("a"):
        y = ops.relu2(Counted()(x * W, N))
    ops.sum(y).backward()


def counts_aside(x):
    """Nothing that backward needs comes from the op that changes something."""
    with mg.scope("a"):
        Counted()(x * W, N)
        y = ops.softmax(ops.relu2(x * W))
    ops.sum(y).backward()


def read_and_then_changed(x):
    with mg.scope("a"):
        y = ops.relu2(ops.softmax(x * N + x))
        y = ops.relu2(y * W)
    ops.zero(N)  # before backward, which would read it again
    ops.sum(y).backward()


@pytest.mark.parametrize(("step", "changer"), [(counts, "counted"), (read_and_then_changed, "zero")])
def test_what_would_be_something_else_is_not_made_again(step, changer):
    x = mg.tensor([0.5, 0.25])
    mg.plan_of(step, x)
    with pytest.raises(
        CaptureError, match=rf"can't be computed again, for .*{changer}.forward changes its \w+ in place"
    ):
        mg.plan_of(step, x, recompute=[["a"]])


def test_planted_without_that_check_the_bits_differ(monkeypatch):
    x, found = mg.tensor([0.5, 0.25]), []
    monkeypatch.setattr(recompute, "check_unchanged", lambda *_: None)
    for groups in ([], [["a"]]):
        mg.flat(N.data)[0] = 2.0
        W.zero_grad()
        mg.capture(read_and_then_changed, x, recompute=groups)(x)
        found.append(bytes(W.grad.data))
    assert found[0] != found[1]


def test_a_change_that_backward_does_not_need_is_made_once():
    mg.flat(N.data)[0] = 0.0
    x = mg.tensor([0.5, 0.25])
    step = mg.capture(counts_aside, x, recompute=[["a"]])
    step(x)
    assert N.tolist() == [1.0, 0.0]
    assert [c.op.name for c in step.plan.calls if c.again] == ["mul"]


def test_a_value_changed_in_place_is_kept():
    def step(x):
        with mg.scope("a"):
            y = ops.relu2(x * W)
            ops.sgd_update(y, y, one, one, one)  # y moves
            z = y * W
        ops.sum(z).backward()
        return z

    x, one, found = mg.tensor([0.5, 0.25]), mg.tensor([0.5]), []
    again = mg.capture(step, x, recompute=[["a"]])
    assert [c.op.name for c in again.plan.calls if c.again] == ["mul"]
    for f in (step, again):
        W.zero_grad()
        found.append((f(x).tolist(), W.grad.tolist()))
    assert found[0] == found[1]


def test_a_scope_that_is_misspelt_is_said():
    loss = BatchLoss(gpt())
    for name, said in (("blok.0", r" \(did you mean 'block.0'\?\)"), ("block.7", "")):
        with pytest.raises(CaptureError, match=f"recompute: no call is in the scope '{name}'{said}"):
            mg.plan_of(loss.step, *loss.inputs(BATCH, 1.0), recompute=[[name]])


SEGMENTS = [
    (0, []),
    (1, [["block.0"], ["block.1"], ["block.2"]]),
    (2, [["block.0", "block.1"], ["block.2"]]),
    (3, [["block.0", "block.1", "block.2"]]),
    (4, [["block.0", "block.1", "block.2"]]),
]


@pytest.mark.parametrize(("size", "expected"), SEGMENTS)
def test_a_models_blocks_are_taken_so_many_at_a_time(size, expected):
    assert segments(gpt(), size) == expected


class Flat(mg.Model):
    """A model without blocks."""

    use = "flat"

    def __init__(self):
        self.vocab_size, self.block_size = 3, 2


def test_a_model_without_blocks_and_a_negative_number_are_refused():
    assert segments(Flat(), 0) == []
    with pytest.raises(
        ConfigurationError, match="recompute: found 1, allowed: 0, for a model that has no list of parts"
    ):
        segments(Flat(), 1)
    with pytest.raises(ConfigurationError, match="recompute: found -1, allowed: 1 or more blocks, or 0 for none"):
        TrainSettings(recompute=-1)


def test_a_function_captured_again_is_recomputed_again():
    net = Net()
    step = Captured(net.once, quiet=True, recompute=[["a"]])
    for numbers in ([0.3, -1.0, 2.0], [1.0, 2.0, 3.0]):
        step(mg.tensor(numbers, "float64"))
    assert step.captures == 1
    with mg.no_grad():
        Captured(net.forward, quiet=True, recompute=[["a"]])(mg.tensor([0.3, -1.0, 2.0], "float64"))


def test_the_command_says_what_is_computed_again():
    def printed(*overrides):
        found = CliRunner().invoke(main, ["plan", "names", "--vocab-size", "27", *overrides], prog_name="microgpt")
        assert found.exit_code == 0, found.output
        return found.output

    again = printed("--set", "train.recompute=1")
    assert "rmsnorm.forward again" in again
    assert "of them recomputed)" in again
    assert "again" not in printed()
