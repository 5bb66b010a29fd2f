"""The recipe of `microgpt run shakespeare` beside the same one in PyTorch: how long each trains, and what comes of it.

    python benchmarks/shakespeare.py [--way compiled] [--threads 1] [--set train.max_steps=200] [--json]

Both begin with the same weights, see the same batches, and have the same AdamW, clipping and schedule. They take turns
of a twentieth of the steps in one process, so that the machine's slow minutes come to both. Compiling isn't counted,
nor is judging: afterwards each says what it makes of all the validation text. Wants microgpt-bench and PyTorch, and
the text: `microgpt data get tinyshakespeare`.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import torch

from microgpt_bench.peers.torch_compile import compiled, use_threads
from microgpt_bench.peers.torch_network import Network
from microgpt_bench.peers.torch_training import as_rows, loss_of
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.plugins.loader import load
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update

TURNS = 20


def microgpt(run: Run) -> tuple[Callable[[int, float], None], Callable[[], float]]:
    """A training step at a learning rate, and the loss on the validation text."""
    loss = BatchLoss(run.network, kernels=run.kernels, accumulates=False)
    optimizer, clip = run.pipeline.optimizer.build(), run.pipeline.train.grad_clip
    update = Update(run.network, optimizer, clip, run.kernels, accumulates=False)
    update.allocate()

    def step(number: int, lr: float) -> None:
        loss.train([run.batches.batch(number)], number)
        update(lr, number)

    return step, lambda: loss.evaluate(run.validation)


def pytorch(run: Run, way: str) -> tuple[Callable[[int, float], None], Callable[[], float]]:
    """The same in PyTorch, as a training loop has it, the weights copied from the run's."""
    network, adamw = Network(run.network), run.pipeline.optimizer.build()  # type: ignore[arg-type]
    weights = [weight.requires_grad_() for weight in network.weights.values()]
    groups = [
        {"params": [w for name, w in network.weights.items() if network.decays[name] is decays], "weight_decay": share}
        for decays, share in ((True, adamw.weight_decay), (False, 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, betas=adamw.betas, eps=adamw.eps, fused=True)
    plain = partial(loss_of, network, torch.float32)
    loss = compiled(plain, way)
    clip = run.pipeline.train.grad_clip or float("inf")

    def step(number: int, lr: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = lr
        loss(as_rows(run.batches.batch(number), torch.float32)).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, clip)
        optimizer.step()
        optimizer.zero_grad()

    def judge() -> float:
        with torch.no_grad():
            total = sum(plain(as_rows(batch, torch.float32)).item() * batch.n_targets for batch in run.validation)
        return total / sum(batch.n_targets for batch in run.validation)

    loss(as_rows(run.batches.batch(0), torch.float32)).backward()  # type: ignore[no-untyped-call]
    optimizer.zero_grad(set_to_none=True)
    return step, judge


def turn(step: Callable[[int, float], None], rates: Sequence[float], numbers: range) -> float:
    """The seconds that these steps take."""
    start = perf_counter()
    for number in numbers:
        step(number, rates[number])
    return perf_counter() - start


def measure(run: Run, way: str) -> dict[str, dict[str, float]]:
    """Seconds and validation loss of each."""
    schedule, max_steps = run.pipeline.schedule.build(), run.pipeline.train.max_steps
    rates = [run.pipeline.optimizer.build().lr * schedule.factor(step, max_steps) for step in range(max_steps)]
    trained = {"microgpt": microgpt(run), f"PyTorch, {way}": pytorch(run, way)}
    seconds = dict.fromkeys(trained, 0.0)
    for i in range(TURNS):
        numbers = range(i * max_steps // TURNS, (i + 1) * max_steps // TURNS)
        for name, (step, _) in trained.items() if i % 2 else reversed(trained.items()):
            seconds[name] += turn(step, rates, numbers)
        print(f"{numbers.stop} of {max_steps} steps", file=sys.stderr)
    return {
        name: {"seconds": round(seconds[name], 2), "validation": round(judge(), 4)}
        for name, (_, judge) in trained.items()
    }


def main(given: argparse.Namespace) -> None:
    registry = load(builtin)
    run = Run(read_pipeline("shakespeare", registry, given.set), registry, Path())
    found = measure(run, given.way)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    (_, ours), (other, theirs) = found.items()
    for name, result in found.items():
        print(f"{name:<18} {result['seconds']:8.1f} s   validation {result['validation']:.4f} nats a character")
    print(f"{other} takes {theirs['seconds'] / ours['seconds']:.2f} times as long")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The recipe of `microgpt run shakespeare` beside PyTorch's.")
    parser.add_argument("--way", choices=("eager", "compiled"), default="compiled", help="how PyTorch runs it")
    parser.add_argument("--threads", type=int, default=1, help="of each")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    os.environ["MICROGPT_THREADS"] = str(arguments.threads)  # before a backend asks for them
    use_threads(arguments.threads)
    main(arguments)
