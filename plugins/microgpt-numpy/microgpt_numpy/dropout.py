"""Dropout: the same numbers are kept as in the reference, since chance is the same function of noise and place."""

import numpy as np

from microgpt_numpy.elementwise import STRETCH
from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, nothing
from microgpt_numpy.philox import philox

WORD = 1 << 32


class Dropout(ArrayKernel):
    sets = ("d_x",)

    def forward(self, out: Array, x: Array, noise: Array, *, p: float, stream: int, scratch: Scratch) -> Run:
        return dropped(out, x, noise, p, stream, scratch)

    def backward(
        self, d_x: Array | None, d_out: Array, noise: Array, *, p: float, stream: int, scratch: Scratch
    ) -> Run:
        return nothing if d_x is None else dropped(d_x, d_out, noise, p, stream, scratch)


def dropped(out: Array, x: Array, noise: Array, p: float, stream: int, scratch: Scratch) -> Run:
    """out = x keep / (1 - p), some rows at a time."""
    out, x = out.reshape(len(x), -1), x.reshape(len(x), -1)
    n_blocks = -(-x.shape[1] // 4)  # of four words
    step, limit, kept = max(1, STRETCH // n_blocks), round(p * WORD), 1 / (1 - p)
    counters, columns = np.arange(n_blocks, dtype=np.uint64), np.arange(len(x), dtype=np.uint64)[:, None]

    def prepare(low: int) -> Run:
        some, target, rows = x[low : low + step], out[low : low + step], columns[low : low + step]
        words = [scratch.array((len(some), n_blocks), np.uint64) for _ in range(6)]
        keep = scratch.array((len(some), n_blocks, 4), x.dtype)
        keep_each, keep_words = keep.reshape(len(some), -1)[:, : x.shape[1]], [keep[..., i] for i in range(4)]

        def run() -> None:
            seed, step, offset = (n % WORD for n in noise.tolist())
            np.copyto(words[0], counters)
            np.add(rows, offset, out=words[1])
            np.bitwise_and(words[1], WORD - 1, out=words[1])
            words[2].fill(stream)
            words[3].fill(0)
            for of_word, word in zip(keep_words, philox(*words, key=(seed, step))):
                np.greater_equal(word, limit, out=of_word)
            np.multiply(keep, kept, out=keep)
            np.multiply(some, keep_each, out=target)

        return run

    return scratch.in_turn(prepare, ((low,) for low in range(0, len(x), step)))
