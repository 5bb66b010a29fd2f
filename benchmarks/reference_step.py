"""How close the reference comes to the multiply-adds it can't avoid, in pure Python.

    python benchmarks/reference_step.py [--models e16,e64] [--rounds 20] [--json]

For the golden models e16, e64 and e128: the time of a whole training step (forward, backward, AdamW; float32)
over the time that the multiply-adds of its matrix products take in the barest Python there is,
`sum(map(mul, a, b))` on lists of the products' own lengths (`math.sumprod` from Python 3.12 on). The two are
timed in turn, round by round, in one process; printed are the medians and the median of the ratios.
"""

import argparse
import json
import random
import sys
from array import array
from operator import mul
from statistics import median
from time import perf_counter

from microgpt_core.models.gpt import GPT
from microgpt_core.text.batch import Batch
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.update import Update

MODELS = {"e16": (16, 1, 8), "e64": (64, 2, 16), "e128": (128, 4, 32)}  # n_embd, n_layer, block_size
BARS = {"e16": 4.0, "e64": 2.0, "e128": 1.6}
ROUNDS = {"e16": 100, "e64": 12, "e128": 5}
VOCABULARY, N_HEAD = 27, 4


class Step:
    """A golden model's training step on one sequence of a block."""

    def __init__(self, n_embd: int, n_layer: int, block_size: int) -> None:
        rng = random.Random(1)
        model = GPT(vocab_size=VOCABULARY, block_size=block_size, n_embd=n_embd, n_layer=n_layer, n_head=N_HEAD)
        model.allocate()
        model.initialise(rng)
        ids = [rng.randrange(VOCABULARY) for _ in range(block_size + 1)]
        tokens, targets, positions = array("i", ids[:-1]), array("i", ids[1:]), array("i", range(block_size))
        self.batch = Batch(tokens, targets, positions, (1, block_size), block_size)
        self.loss = BatchLoss(model, accumulates=False)
        self.update = Update(model, AdamW(lr=1e-3, weight_decay=0.0), accumulates=False)
        self.update.allocate()
        self.made = 0

    def __call__(self) -> None:
        self.loss.train([self.batch])
        self.update(1e-3, self.made)
        self.made += 1


def products(n_embd: int, n_layer: int, block_size: int) -> list[tuple[int, int]]:
    """The dot products of a step, as (how many, of what length).

    Each linear layer has three matrix products (output, input gradient, weight gradient), attention six: the
    scores, the mix of values and their four gradients, each over half of the square. That backward computes
    the scores again is attention's own affair, and not counted.
    """
    width, tokens = n_embd, block_size
    layers = [(width, width)] * 4 + [(width, 4 * width), (4 * width, width)]
    linear = layers * n_layer + [(width, VOCABULARY)]
    found = [p for i, o in linear for p in ((tokens * o, i), (tokens * i, o), (o * i, tokens))]
    pairs, head = N_HEAD * tokens * (tokens + 1) // 2, width // N_HEAD
    attention = [(pairs, head)] * 2 + [(tokens * width, (tokens + 1) // 2)] * 4
    return found + attention * n_layer


class Bare:
    """The same multiply-adds and nothing else."""

    def __init__(self, counts: list[tuple[int, int]]) -> None:
        rng = random.Random(2)
        lengths = {length for _, length in counts}
        vectors = {n: ([rng.random() for _ in range(n)], [rng.random() for _ in range(n)]) for n in lengths}
        self.work = [(count, *vectors[length]) for count, length in counts]

    if sys.version_info >= (3, 12):

        def __call__(self) -> None:
            from math import sumprod

            for count, a, b in self.work:
                for _ in range(count):
                    sumprod(a, b)

    else:

        def __call__(self) -> None:
            for count, a, b in self.work:
                for _ in range(count):
                    sum(map(mul, a, b))


def timed(work: Step | Bare) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def measure(name: str, rounds: int | None) -> dict[str, float | str]:
    """One model's medians, in milliseconds, and the median ratio."""
    step, bare = Step(*MODELS[name]), Bare(products(*MODELS[name]))
    timed(step)  # the capture
    pairs = [(timed(step), timed(bare)) for _ in range(rounds or ROUNDS[name])]
    return {
        "model": name,
        "step_ms": round(1e3 * median(s for s, _ in pairs), 3),
        "bare_ms": round(1e3 * median(b for _, b in pairs), 3),
        "ratio": round(median(s / b for s, b in pairs), 3),
        "bar": BARS[name],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="A training step over its bare multiply-adds, in pure Python.")
    parser.add_argument("--models", default=",".join(MODELS), help="which: e16, e64, e128")
    parser.add_argument("--rounds", type=int, help="how often both are timed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    names = given.models.split(",")
    if unknown := [name for name in names if name not in MODELS]:
        parser.error(f"unknown model {unknown[0]!r}; known: {', '.join(MODELS)}")
    results = [measure(name, given.rounds) for name in names]
    if given.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
        return
    print(f"Python {sys.version.split()[0]}\nmodel     step ms    bare ms   ratio  bar")
    for r in results:
        print(f"{r['model']:<6} {r['step_ms']:>10} {r['bare_ms']:>10} {r['ratio']:>7}  {r['bar']}")


if __name__ == "__main__":
    main()
