"""A char-small training step on the NumPy backend beside the same step in PyTorch, eager, one thread each.

    OPENBLAS_NUM_THREADS=1 python plugins/microgpt-numpy/benchmarks/against_torch.py

The same weights, batch, loss and optimizer. Losses and gradients are compared first: nothing is timed that differs.
Then the two are timed in turn, round by round, in one process; printed are the medians and the median of the ratios.
"""

import argparse
import json
import os
import random
import sys
from array import array
from collections.abc import Callable
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from microgpt_core.engine.backends import Kernels
from microgpt_core.models.gpt import GPT
from microgpt_core.text.batch import Batch
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.update import Update
from microgpt_numpy.backend import Numpy
from microgpt_numpy.plugin import microgpt_kernels

N_EMBD, N_LAYER, N_HEAD, BLOCK_SIZE, BATCH_SIZE, VOCABULARY = 128, 4, 4, 64, 12, 65  # the golden model char-small
LR, BETAS = 1e-3, (0.9, 0.95)
AGREEMENT = 1e-4  # of a loss, and of a gradient beside the largest number in it
BAR = 3.0


class NumpyStep:
    """Forward, backward and AdamW as plans on this pack's kernels."""

    def __init__(self) -> None:
        rng = random.Random(1)
        self.model = GPT(VOCABULARY, BLOCK_SIZE, n_layer=N_LAYER, n_head=N_HEAD, n_embd=N_EMBD, init_output_std=0.02)
        self.model.allocate()
        self.model.initialise(rng)
        ids = [[rng.randrange(VOCABULARY) for _ in range(BLOCK_SIZE + 1)] for _ in range(BATCH_SIZE)]
        tokens, targets = (array("i", [i for row in ids for i in row[at : at + BLOCK_SIZE]]) for at in (0, 1))
        positions = array("i", list(range(BLOCK_SIZE)) * BATCH_SIZE)
        self.batch = Batch(tokens, targets, positions, (BATCH_SIZE, BLOCK_SIZE), BATCH_SIZE * BLOCK_SIZE)
        kernels = Kernels([Numpy()], {name: made(place) for name, place in microgpt_kernels().items()})
        self.loss = BatchLoss(self.model, kernels=kernels)
        self.update = Update(self.model, AdamW(lr=LR, betas=BETAS, weight_decay=0.0), kernels=kernels)
        self.update.allocate()
        self.steps = 0

    def gradients(self) -> float:
        return self.loss.train([self.batch])

    def __call__(self) -> float:
        loss = self.gradients()
        self.update(LR, self.steps)
        self.steps += 1
        return loss


class TorchStep:
    """The same in PyTorch, with its own fastest ops: fused attention, fused AdamW."""

    def __init__(self, twin: NumpyStep) -> None:
        self.weights = {n: torch.tensor(b.tolist(), requires_grad=True) for n, b in twin.model.state().items()}
        rows = (torch.tensor(list(x)).view(twin.batch.shape) for x in twin.batch[:3])
        self.tokens, self.targets, self.positions = rows
        self.optimizer = torch.optim.AdamW(self.weights.values(), lr=LR, betas=BETAS, weight_decay=0.0, fused=True)

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weights[f"{name}.weight"])

    def attention(self, name: str, x: torch.Tensor) -> torch.Tensor:
        heads = (BATCH_SIZE, BLOCK_SIZE, N_HEAD, N_EMBD // N_HEAD)
        q, k, v = (self.linear(f"{name}.{p}", x).view(heads).transpose(1, 2) for p in "qkv")
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.linear(f"{name}.o", mixed.transpose(1, 2).flatten(2))

    def mlp(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return self.linear(f"{name}.fc2", functional.relu(self.linear(f"{name}.fc1", x)).square())

    def logits(self) -> torch.Tensor:
        x = functional.embedding(self.tokens, self.weights["wte.weight"])
        x = norm(x + functional.embedding(self.positions, self.weights["wpe.weight"]))
        for i in range(N_LAYER):
            x = x + self.attention(f"block.{i}.attention", norm(x))
            x = x + self.mlp(f"block.{i}.mlp", norm(x))
        return self.linear("lm_head", x)

    def gradients(self) -> float:
        self.optimizer.zero_grad()
        loss = functional.cross_entropy(self.logits().flatten(0, 1), self.targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    def __call__(self) -> float:
        loss = self.gradients()
        self.optimizer.step()
        return loss


def norm(x: torch.Tensor) -> torch.Tensor:
    return functional.rms_norm(x, x.shape[-1:], eps=1e-5)


def made(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)()


def compare(ours: NumpyStep, theirs: TorchStep, steps: int = 20) -> None:
    """Exit where the two don't compute the same: the first step's loss and gradients, then the losses of more."""
    close("loss", np.array(ours.gradients()), np.array(theirs.gradients()))
    for p in ours.model.parameters():
        found, expected = p.grad, theirs.weights[p.name].grad
        assert found is not None
        assert expected is not None
        close(f"the gradient of {p.name}", np.asarray(found.data), expected.numpy())
    ours.update(LR, 0)
    theirs.optimizer.step()
    ours.steps = 1
    for step in range(1, steps):
        close(f"the loss of step {step}", np.array(ours()), np.array(theirs()))


def close(what: str, found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    error = np.abs(found - expected).max() / np.abs(expected).max()
    if not error <= AGREEMENT:
        sys.exit(f"{what} differs by {error:.1e} of its size, allowed: {AGREEMENT:g}")


def timed(step: Callable[[], float]) -> float:
    start = perf_counter()
    step()
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="A char-small step on NumPy beside PyTorch, one thread each.")
    parser.add_argument("--rounds", type=int, default=60, help="how often both are timed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        parser.error("set OPENBLAS_NUM_THREADS=1: NumPy reads it when it is imported, and both are to have one thread")
    torch.set_num_threads(1)
    ours = NumpyStep()
    theirs = TorchStep(ours)
    compare(ours, theirs)
    pairs = [(timed(ours), timed(theirs)) for _ in range(given.rounds)]
    result = {
        "numpy_ms": round(1e3 * median(a for a, _ in pairs), 2),
        "torch_ms": round(1e3 * median(b for _, b in pairs), 2),
        "ratio": round(median(a / b for a, b in pairs), 3),
        "bar": BAR,
    }
    if given.json:
        print(json.dumps(result))
    else:
        versions = f"NumPy {np.__version__}, PyTorch {torch.__version__}"
        print(f"char-small step: {result['numpy_ms']} ms on NumPy, {result['torch_ms']} ms in PyTorch ({versions})")
        print(f"ratio {result['ratio']}, at most {BAR}")


if __name__ == "__main__":
    main()
