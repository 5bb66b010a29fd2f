"""Whether two trainings compute the same: the loss and gradients of the first batch, then the losses of a few steps.

One writes down what it found, the others are compared with it. Nothing is timed that disagrees.
"""

from array import array
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from microgpt_core.components import Buffer
from microgpt_core.components.peer import Training
from microgpt_core.storage.safetensors import read_safetensors, write_safetensors

STEPS = 5
LOSSES = "losses"

Numbers: TypeAlias = "np.ndarray[Any, Any]"
TINY = 1e-30  # the size of a gradient that is 0 throughout
# Beside the largest number of all gradients, one below this is 0 but for rounding: the bias of keys is, since it moves
# no share of attention. It is measured beside a hundredth of that number: rounding falls as it likes.
NOTHING, HUNDREDTH = 1e-6, 1e-2


def write_down(training: Training, path: Path) -> None:
    """What a training finds, for others to be compared with."""
    loss, gradients = training.gradients()
    losses = Buffer(array("d", [loss, *(training.run(1) for _ in range(STEPS))]))
    write_safetensors(path, {LOSSES: losses, **gradients})


def disagreement(training: Training, path: Path) -> dict[str, float]:
    """How far a training is from what was written down: of the losses, and of the worst gradient, by its name."""
    expected = read_safetensors(path)
    loss, gradients = training.gradients()
    losses = np.array([loss, *(training.run(1) for _ in range(STEPS))])
    right = {name: np.asarray(values) for name, values in expected.items() if name != LOSSES}
    largest = max(largest_of(values) for values in right.values())
    found = {name: distance(np.asarray(gradients[name]), values, largest) for name, values in right.items()}
    worst = max(found, key=found.__getitem__)
    return {LOSSES: distance(losses, np.asarray(expected[LOSSES])), worst: found[worst]}


def distance(found: Numbers, expected: Numbers, largest: float = 0.0) -> float:
    """The largest difference, beside the largest number; infinite where the numbers can't be compared."""
    if found.size != expected.size or not np.isfinite(found).all():
        return inf
    difference, size = largest_of(found.astype("d").ravel() - expected.ravel()), largest_of(expected)
    return difference / max(size if size > NOTHING * largest else HUNDREDTH * largest, TINY)


def largest_of(values: Numbers) -> float:
    return float(np.abs(values).max())
