"""Same bits: for any number of threads, run after run, plan by plan or in a loop; and nothing grows while it runs."""

import gc
import hashlib
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from microgpt_core.components import Pass, flat
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.loop import Loop
from microgpt_core.errors import DataError
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.text.batch import Batch
from microgpt_core.text.batches import Batches
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.update import Update
from microgpt_simd.passes.bfloat16 import BFloat16
from microgpt_simd.passes.fused_loss import FusedLoss

SMALL = {"n_head": 4, "n_layer": 2, "init_output_std": 0.02}
FAMILY: dict[str, dict[str, Any]] = {
    "microgpt": {"n_embd": 16, "n_head": 4, "n_layer": 1, "block_size": 8, "init_output_std": 0.02},
    "gpt2": {**PRESETS["gpt2"].fields, **SMALL, "n_embd": 48, "block_size": 40},
    "llama": {**PRESETS["llama-tiny"].fields, **SMALL, "n_embd": 64, "n_kv_head": 2, "block_size": 70},
    "others": {**SMALL, "n_embd": 32, "block_size": 20, "activation": "silu", "position": "sinusoidal", "window": 7,
               "dropout": 0.1},
}  # fmt: skip
VOCAB = 67


class Training:
    """A model's two plans on random tokens."""

    def __init__(
        self, kernels: Kernels, batching: str = "random_window", accumulates: bool = True, **fields: Any
    ) -> None:
        self.model = GPT(vocab_size=VOCAB, **fields)
        self.model.allocate()
        self.model.initialise(Random(1))
        rng = Random(2)
        documents = [[rng.randrange(VOCAB) for _ in range(rng.randrange(2, 200))] for _ in range(40)]
        batches = Batches(
            documents, batching=batching, batch_size=3, block_size=fields["block_size"], seed=1, rng=rng, bos=None
        )
        self.batches = [batches.batch(i) for i in range(6)]
        self.loss = BatchLoss(self.model, kernels=kernels, accumulates=accumulates)
        self.update = Update(self.model, AdamW(lr=1e-2), 1.0, kernels, accumulates=accumulates)
        self.update.allocate()

    def step(self, i: int) -> tuple[float, float]:
        return self.loss.train([self.batches[i % 6]], i), self.update(1e-2, i)

    def inputs(self, batch: Batch, i: int) -> Any:
        (inputs,) = self.loss.window_inputs([batch], i)
        return inputs

    def digest(self) -> str:
        """SHA-256 of the weights and the optimizer's state."""
        found = hashlib.sha256()
        for _, buffer in sorted({**self.model.state(), **self.update.buffers()}.items()):
            found.update(buffer)
        return found.hexdigest()


def trained(kernels: Kernels, steps: int, **fields: Any) -> str:
    training = Training(kernels, **fields)
    for i in range(steps):
        training.step(i)
    return training.digest()


@pytest.mark.parametrize("member", FAMILY)
def test_any_number_of_threads_gives_the_same_bits(member: str, kernels: Kernels, threads: Any) -> None:
    digests = set()
    for n in (1, 2, 3, 4, 8):
        threads(n)
        digests.add(trained(kernels, 3, **FAMILY[member]))
    assert len(digests) == 1


def test_twenty_runs_give_the_same_bits(kernels: Kernels, threads: Any) -> None:
    threads(3)
    assert len({trained(kernels, 2, **FAMILY["llama"]) for _ in range(20)}) == 1


@pytest.mark.parametrize("passes", [[], [FusedLoss()], [BFloat16()]], ids=["plain", "fused-loss", "bfloat16"])
@pytest.mark.parametrize("batching", ["random_window", "documents"])
@pytest.mark.parametrize("member", FAMILY)
def test_gradients_that_are_computed_anew_have_the_same_bits(
    member: str, batching: str, passes: list[Pass], kernels: Kernels
) -> None:
    with_passes = replace(kernels, passes=passes)
    ways = [Training(with_passes, batching, accumulates=each, **FAMILY[member]) for each in (False, True)]
    for i in range(4):
        one, other = (training.step(i) for training in ways)
        assert one == other
    assert len({training.digest() for training in ways}) == 1


@pytest.mark.parametrize("accumulates", [False, True])
@pytest.mark.parametrize("member", FAMILY)
def test_a_loop_gives_the_bits_of_step_after_step(member: str, accumulates: bool, level: str, kernels: Kernels) -> None:
    one, other = (Training(kernels, accumulates=accumulates, **FAMILY[member]) for _ in range(2))
    steps = [one.step(i) for i in range(5)]
    loop = loop_of(other, 5)
    assert loop.run(5) == 5
    losses, norms = (flat(results[0]).tolist() for results in loop.results)
    assert (losses, norms) == tuple(map(list, zip(*steps)))
    assert one.digest() == other.digest()


def loop_of(training: Training, turns: int) -> Loop:
    """A loop over the first batches."""
    inputs = [training.inputs(training.batches[i % 6], i) for i in range(turns)]
    replays = [
        training.loss.training.replay_for(*inputs[0]),
        training.update.plan.replay_for(*training.update.inputs()),
    ]
    loop = Loop(replays, turns, until=(1, 0))
    for i in range(turns):
        for feeds, given in zip(loop.feeds, (inputs[i], training.update.inputs(1e-2, i))):
            for feed, x in zip(feeds, given):
                size = len(flat(x.data))
                flat(feed)[i * size : (i + 1) * size] = flat(x.data)
    return loop


def test_a_loop_without_native_code_does_the_same() -> None:
    one, other = (Training(REFERENCE, **FAMILY["microgpt"]) for _ in range(2))
    steps = [one.step(i) for i in range(3)]
    loop = loop_of(other, 3)
    assert loop.run(3) == 3
    assert [flat(results[0]).tolist() for results in loop.results] == list(map(list, zip(*steps)))
    assert one.digest() == other.digest()


@pytest.mark.parametrize("kind", ["native", "reference"])
def test_a_loop_ends_where_a_number_is_not_finite(kind: str, kernels: Kernels) -> None:
    training = Training(kernels if kind == "native" else REFERENCE, **FAMILY["microgpt"])
    loop = loop_of(training, 4)
    flat(loop.feeds[0][3])[2] = float("nan")  # the scale of the third turn's loss
    before = loop.run(2), training.digest()
    assert before[0] == 2
    training_again = Training(kernels if kind == "native" else REFERENCE, **FAMILY["microgpt"])
    loop = loop_of(training_again, 4)
    flat(loop.feeds[0][3])[2] = float("nan")
    assert loop.run(4) == 2
    assert training_again.digest() == before[1]


def gradients(training: Training) -> bytes:
    return training.model.gradients.data.tobytes()


def one_by_one(training: Training, turns: int) -> Loop:
    """The same loop, whose turns are made call by call."""
    loop = loop_of(training, turns)
    loop._native = None
    return loop


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_gradient_that_was_there_before_a_loop_is_added_to(bfloat16: bool, kernels: Kernels) -> None:
    kernels = replace(kernels, passes=[BFloat16()] if bfloat16 else [FusedLoss()])
    digests = set()
    for make in (one_by_one, loop_of):
        training = Training(kernels, **FAMILY["gpt2"])
        loop = make(training, 3)
        for p in training.model.ordered_parameters():
            flat(p.gradient_value().buffer())[:] = flat(p.data)
        loop.run(2)
        loop.run(1, 2)
        digests.add(training.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("turn", [0, 2])
@pytest.mark.parametrize("feed", [0, 1])
def test_an_error_leaves_the_gradients_of_step_after_step(turn: int, feed: int, kernels: Kernels) -> None:
    """A token that isn't there fails in the first call, a target that isn't there in the middle."""
    found = []
    for make in (one_by_one, loop_of):
        training = Training(kernels, **FAMILY["microgpt"])
        loop = make(training, 4)
        size = len(flat(loop.feeds[0][feed])) // 4
        flat(loop.feeds[0][feed])[turn * size] = VOCAB
        with pytest.raises(DataError):
            loop.run(4)
        found.append((gradients(training), training.digest()))
    assert found[0] == found[1]


def test_a_loop_that_is_interrupted_leaves_zeros(kernels: Kernels) -> None:
    training, turns = Training(kernels, **FAMILY["gpt2"]), 5000
    loop = loop_of(training, turns)
    interrupt = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            loop.run(turns)
    finally:
        interrupt.join()
        signal.signal(signal.SIGINT, handler)
    assert not any(gradients(training))


def test_nothing_grows(kernels: Kernels) -> None:
    """Blocks of the interpreter, memory and open files at steps 10 and 1,000."""
    training = Training(kernels, **FAMILY["microgpt"])

    def taken() -> tuple[int, int, int]:
        gc.collect()
        status, files = Path("/proc/self/status"), Path("/proc/self/fd")
        if not status.is_file():
            return sys.getallocatedblocks(), 0, 0
        lines = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
        return sys.getallocatedblocks(), int(lines["VmRSS"].split()[0]), len(os.listdir(files))

    for i in range(10):
        training.step(i)
    taken()
    early = taken()
    for i in range(10, 1000):
        training.step(i)
    late = taken()
    assert late[0] - early[0] <= 8  # the numbers that this test keeps
    assert late[1] - early[1] <= 256  # kB: the allocator's own
    assert late[2] == early[2]
