"""Cross-entropy, a block of rows at a time: the exponentials of a whole vocabulary would be as large as the logits."""

import numpy as np

from microgpt_core import ops
from microgpt_core.components import IGNORED
from microgpt_numpy.elementwise import STRETCH
from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, nothing, reference, rows


class CrossEntropy(ArrayKernel):
    sets = ("d_logits",)

    def forward(
        self, loss: Array, logits: Array, targets: Array, scale: Array | None,
        *, label_smoothing: float, scratch: Scratch,
    ) -> Run:  # fmt: skip
        rarely = reference(ops.cross_entropy.forward, loss, logits, targets, scale, label_smoothing=label_smoothing)
        z, aims = rows(logits), Targets(logits, targets, scale, scratch)
        tops, sums = (scratch.array((len(z), 1), z.dtype) for _ in range(2))
        top, lse, losses = tops[:, 0], sums[:, 0], scratch.array((len(z),), z.dtype)
        powers = scratch.array((min(len(z), block_rows(z)), z.shape[1]), z.dtype)
        blocks = [(powers[: len(z[b])], tops[b], sums[b], z[b]) for b in blocks_of(z)]

        def run() -> None:
            if not aims.read():
                rarely()  # raises DataError, or warns that there is nothing to learn
                return
            for block in blocks:
                exponentials(*block)
            np.log(lse, out=lse)
            np.add(lse, top, out=lse)
            np.take(z, aims.places, out=losses, mode="clip")
            np.subtract(lse, losses, out=losses)
            if label_smoothing:
                np.add.reduce(z, axis=1, out=top)
                np.divide(top, z.shape[1], out=top)
                np.subtract(lse, top, out=top)
                np.multiply(top, label_smoothing, out=top)
                np.multiply(losses, 1.0 - label_smoothing, out=losses)
                np.add(losses, top, out=losses)
            np.copyto(losses, 0.0, where=aims.ignored)
            loss[0] = float(np.add.reduce(losses, dtype=np.float64)) * aims.scale()

        return run

    def backward(
        self, d_logits: Array | None, d_loss: Array, logits: Array, targets: Array, scale: Array | None,
        *, label_smoothing: float, scratch: Scratch,
    ) -> Run:  # fmt: skip
        if d_logits is None:
            return nothing
        d, z, aims = rows(d_logits), rows(logits), Targets(logits, targets, scale, scratch)
        tops, sums = (scratch.array((len(z), 1), z.dtype) for _ in range(2))
        blocks = [(d[b], tops[b], sums[b], z[b]) for b in blocks_of(z)]
        at_target, ignored = tops[:, 0], aims.ignored[:, None]

        def run() -> None:
            aims.read()
            factor = float(d_loss[0]) * aims.scale()
            for power, top, total, block in blocks:
                exponentials(power, top, total, block)
                np.divide(factor, total, out=total)
                np.multiply(power, total, out=power)
                if label_smoothing:
                    np.subtract(power, factor * label_smoothing / z.shape[1], out=power)
            np.take(d, aims.places, out=at_target, mode="clip")
            np.subtract(at_target, factor * (1.0 - label_smoothing), out=at_target)
            np.put(d, aims.places, at_target)
            np.copyto(d, 0.0, where=ignored)

        return run


class Targets:
    """Where in the logits the targets stand, and which of them count."""

    def __init__(self, logits: Array, targets: Array, scale: Array | None, scratch: Scratch) -> None:
        self.ids, self.vocab_size, self.given = targets.reshape(-1), logits.shape[-1], scale
        self.row_starts = np.arange(0, logits.size, self.vocab_size)
        self.places, self.ignored = scratch.like(self.row_starts), scratch.array(self.ids.shape, np.bool_)

    def read(self) -> bool:
        """Look at the targets of this run. Whether all can be used, and some count."""
        np.less(self.ids, 0, out=self.ignored)
        np.maximum(self.ids, 0, out=self.places)  # an ignored one stands anywhere in its row
        np.add(self.places, self.row_starts, out=self.places)
        return bool(self.ids.min() >= IGNORED and 0 <= self.ids.max() < self.vocab_size)

    def scale(self) -> float:
        """What the sum of losses is multiplied by."""
        counted = self.ids.size - int(np.count_nonzero(self.ignored))
        return float(self.given[0]) if self.given is not None else 1.0 / max(counted, 1)


def exponentials(power: Array, top: Array, total: Array, z: Array) -> None:
    """power = exp(z - top) with the largest number of each row, and total the sum of each."""
    np.maximum.reduce(z, axis=1, keepdims=True, out=top)
    np.subtract(z, top, out=power)
    np.exp(power, out=power)
    np.add.reduce(power, axis=1, keepdims=True, out=total)


def block_rows(z: Array) -> int:
    return max(1, STRETCH // int(z.shape[1]))


def blocks_of(z: Array) -> list[slice]:
    """Rows whose numbers stay in a core's cache."""
    return [slice(low, low + block_rows(z)) for low in range(0, len(z), block_rows(z))]
