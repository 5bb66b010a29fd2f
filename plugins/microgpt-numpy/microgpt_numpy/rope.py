"""RoPE: pairs of numbers, half a head apart, turned by an angle. Angles grow, so they are float64 whatever x is."""

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, nothing


class RoPE(ArrayKernel):
    sets = ("d_x",)

    def forward(self, out: Array, x: Array, positions: Array, *, n_head: int, theta: float, scratch: Scratch) -> Run:
        return turned(out, x, positions, n_head, theta, 1.0, scratch)

    def backward(
        self, d_x: Array | None, d_out: Array, positions: Array, *, n_head: int, theta: float, scratch: Scratch
    ) -> Run:
        return nothing if d_x is None else turned(d_x, d_out, positions, n_head, theta, -1.0, scratch)


def turned(out: Array, x: Array, positions: Array, n_head: int, theta: float, sign: float, scratch: Scratch) -> Run:
    """out = x, every pair turned by sign * its angle."""
    shape = (*x.shape[:2], n_head, 2, -1)  # (B, T, n_head, 2, half)
    a, b = np.moveaxis(x.reshape(shape), 3, 0)
    out_a, out_b = np.moveaxis(out.reshape(shape), 3, 0)
    half, places = a.shape[-1], positions[:, :, None, None]
    speeds = sign * theta ** (-np.arange(half) / half)
    angles = scratch.array((*x.shape[:2], 1, half), np.float64)
    cosines, sines, part = scratch.array(angles.shape, x.dtype), scratch.array(angles.shape, x.dtype), scratch.like(a)

    def run() -> None:
        np.multiply(places, speeds, out=angles)
        np.cos(angles, out=cosines)
        np.sin(angles, out=sines)
        np.multiply(b, sines, out=part)
        np.multiply(a, cosines, out=out_a)
        np.subtract(out_a, part, out=out_a)
        np.multiply(a, sines, out=part)
        np.multiply(b, cosines, out=out_b)
        np.add(out_b, part, out=out_b)

    return run
