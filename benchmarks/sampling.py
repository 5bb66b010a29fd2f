"""How long it takes to choose the next token from its logits, by each backend that is installed, and by PyTorch.

    python benchmarks/sampling.py [--vocab-size 50257] [--rounds 101] [--json]

Logits are those of a normal distribution with a deviation of 2. Everybody chooses in turn, round by round, on one
thread; a round is a choice by a new chance, with reading its three numbers (PyTorch: the token alone). Printed are
medians in microseconds. PyTorch, where it is installed, does what its users write: topk or sort, softmax, multinomial.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

os.environ |= {"MICROGPT_THREADS": "1", "OMP_NUM_THREADS": "1"}  # before anybody looks

from microgpt_core import ops  # noqa: E402
from microgpt_core.engine.capture import Captured  # noqa: E402
from microgpt_core.engine.tensor import Tensor, tensor  # noqa: E402
from microgpt_core.pipeline import builtin  # noqa: E402
from microgpt_core.pipeline.reading.read import read_pipeline  # noqa: E402
from microgpt_core.pipeline.runs.backends import find_kernels  # noqa: E402
from microgpt_core.plugins.loader import load  # noqa: E402

SETTINGS: dict[str, dict[str, Any]] = {
    "the likeliest": {"temperature": 0.0},
    "temperature 0.8": {"temperature": 0.8},
    "top_k 40": {"temperature": 0.8, "top_k": 40},
    "top_p 0.9": {"temperature": 0.8, "top_p": 0.9},
    "top_k 200, top_p 0.9": {"temperature": 0.8, "top_k": 200, "top_p": 0.9},
}
WARM = 3  # choices that aren't counted

Choose = Callable[[int], object]


def by_backend(backend: str, logits: Tensor, settings: dict[str, Any]) -> Choose:
    """A choice by a backend's kernel, captured once as sessions do."""
    registry = load(builtin)
    kernels = find_kernels(read_pipeline("names", registry, {"backend": backend, "passes": []}), registry)
    captured = Captured(lambda chance: ops.sample(logits, chance, **settings), kernels)
    return lambda chance: [each.tolist() for each in captured(tensor([chance], "int32"))]


def by_torch(row: list[float], settings: dict[str, Any]) -> Choose | None:
    """The same as people write it in PyTorch, whose chances are its own; None where it isn't installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    logits, top_k, top_p = torch.tensor(row), settings.get("top_k"), settings.get("top_p")

    def choose(chance: int) -> int:
        if settings["temperature"] == 0.0:
            return int(logits.argmax())
        z = logits / settings["temperature"]
        if top_k:
            z = z.masked_fill(z < torch.topk(z, min(top_k, len(z))).values[-1], float("-inf"))
        if top_p:
            ordered, order = torch.sort(z, descending=True)
            mass = torch.softmax(ordered, -1).cumsum(-1)
            beyond = torch.roll(mass > top_p, 1)
            beyond[0] = False
            z = z.masked_fill(torch.zeros_like(beyond).scatter(0, order, beyond), float("-inf"))
        return int(torch.multinomial(torch.softmax(z, -1), 1))

    return choose


def backends() -> list[str]:
    """Those that can run here, the fastest first, and the reference."""
    registry = load(builtin)
    found = find_kernels(read_pipeline("names", registry, {"backend": "auto"}), registry).backends
    return list(dict.fromkeys([*(backend.name for backend in found), "reference"]))


def measure(vocab_size: int, rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds by settings and by who chooses."""
    rng = Random(1)
    row = [rng.gauss(0.0, 2.0) for _ in range(vocab_size)]
    logits, found = tensor([row], "float32"), {}
    for name, settings in SETTINGS.items():
        asked = {who: by_backend(who, logits, settings) for who in backends()}
        asked |= {"torch": choose} if (choose := by_torch(row, settings)) else {}
        times: dict[str, list[float]] = {who: [] for who in asked}
        for i in range(WARM + rounds):
            chance = rng.randrange(2**31)
            for who, one in asked.items():
                start = perf_counter()
                one(chance)
                times[who] += [1e6 * (perf_counter() - start)] * (i >= WARM)
        found[name] = {who: median(some) for who, some in times.items()}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocab-size", type=int, default=50257)
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.vocab_size < 1 or given.rounds < 1:
        parser.error("--vocab-size and --rounds: allowed: 1 or more")
    found = measure(given.vocab_size, given.rounds)
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    who = list(next(iter(found.values())))
    print(f"{'microseconds':<22}" + "".join(f"{name:>12}" for name in who))
    for name, times in found.items():
        print(f"{name:<22}" + "".join(f"{times[one]:>12,.1f}" for one in who))
    return 0


if __name__ == "__main__":
    sys.exit(main())
