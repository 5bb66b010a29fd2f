"""Activations of a few lines each. The formulas stand in the core's ops of the same names.

Two of them are x times a number between 0 and 1 that comes from exp(-x): x is cut off first where that number is 0
or 1, since infinity times 0 would be NaN.
"""

import numpy as np

from microgpt_numpy.elementwise import Activation, Spare
from microgpt_numpy.kernel import Array

LOW = -1000.0  # exp(-LOW) is infinite, so that f is 0, in both formats
FAR = 80.0  # exp(FAR) FAR is finite in both, and a sigmoid is 0 or 1 to the last digit
SCALE, CUBIC = (2 / np.pi) ** 0.5, 0.044715
FAR_TANH = 9.0  # 2 u(9) = 66


class ReLU(Activation):
    def f(self, y: Array, x: Array, spare: Spare) -> None:
        positive(y, x)

    def df(self, y: Array, x: Array, spare: Spare) -> None:
        np.less_equal(x, 0.0, out=y)  # not `greater`: the slope at NaN is 1
        np.subtract(1.0, y, out=y)


class ReLU2(Activation):
    def f(self, y: Array, x: Array, spare: Spare) -> None:
        positive(y, x)
        np.multiply(y, y, out=y)

    def df(self, y: Array, x: Array, spare: Spare) -> None:
        positive(y, x)
        np.add(y, y, out=y)


class Sigmoid(Activation):
    def f(self, y: Array, x: Array, spare: Spare) -> None:
        np.negative(x, out=y)
        np.exp(y, out=y)
        np.add(y, 1.0, out=y)
        np.divide(1.0, y, out=y)

    def df(self, y: Array, x: Array, spare: Spare) -> None:
        bell(y, x, spare[0], 1.0)


class Tanh(Activation):
    def f(self, y: Array, x: Array, spare: Spare) -> None:
        np.tanh(x, out=y)

    def df(self, y: Array, x: Array, spare: Spare) -> None:
        bell(y, x, spare[0], 2.0)
        np.multiply(y, 4.0, out=y)


class SiLU(Activation):
    def f(self, y: Array, x: Array, spare: Spare) -> None:
        silu(y, x, spare[0])

    def df(self, y: Array, x: Array, spare: Spare) -> None:
        silu_slope(y, x, spare[0])


class GELUTanh(Activation):
    def f(self, y: Array, x: Array, spare: Spare) -> None:
        z = np.maximum(x, LOW, out=spare[0])
        tanh_power(y, z)
        gated(y, z)

    def df(self, y: Array, x: Array, spare: Spare) -> None:
        z, rise = spare
        np.clip(x, -FAR_TANH, FAR_TANH, out=z)
        tanh_power(y, z)
        np.multiply(z, z, out=rise)  # 2 z u'(z) = 2 SCALE z (1 + 3 CUBIC z^2)
        np.multiply(rise, 3 * CUBIC, out=rise)
        np.add(rise, 1.0, out=rise)
        np.multiply(rise, z, out=rise)
        np.multiply(rise, 2 * SCALE, out=rise)
        gated_slope(y, rise)


def positive(y: Array, x: Array) -> None:
    """y = max(x, 0), in half of the time that NumPy takes for an array and a number."""
    y.fill(0.0)
    np.maximum(x, y, out=y)


def silu(y: Array, x: Array, z: Array) -> None:
    """y = x s(x)."""
    np.maximum(x, LOW, out=z)
    np.negative(z, out=y)
    np.exp(y, out=y)
    gated(y, z)


def silu_slope(y: Array, x: Array, z: Array) -> None:
    """y = s(x) (1 + x (1 - s(x)))."""
    np.clip(x, -FAR, FAR, out=z)
    np.negative(z, out=y)
    np.exp(y, out=y)
    gated_slope(y, z)


def gated(y: Array, z: Array) -> None:
    """With y = exp(-w): z s(w) = z / (1 + y)."""
    np.add(y, 1.0, out=y)
    np.divide(z, y, out=y)


def gated_slope(y: Array, rise: Array) -> None:
    """With y = exp(-w) and rise = z w': the slope of z s(w), which is s (1 + rise (1 - s)), s = 1 / (1 + y)."""
    np.multiply(rise, y, out=rise)
    np.add(y, 1.0, out=y)
    np.divide(rise, y, out=rise)
    np.add(rise, 1.0, out=rise)
    np.divide(rise, y, out=y)


def tanh_power(y: Array, z: Array) -> None:
    """y = exp(-2 u(z)): half of 1 + tanh u is the sigmoid of 2 u, and loses no digits below 0."""
    np.multiply(z, z, out=y)
    np.multiply(y, CUBIC, out=y)
    np.add(y, 1.0, out=y)
    np.multiply(y, z, out=y)
    np.multiply(y, -2 * SCALE, out=y)
    np.exp(y, out=y)


def bell(y: Array, x: Array, z: Array, speed: float) -> None:
    """y = e / (1 + e)^2 with e = exp(-speed |x|), the slope of the sigmoid, without losing digits far from 0."""
    np.abs(x, out=y)
    np.multiply(y, -speed, out=y)
    np.exp(y, out=y)
    np.add(y, 1.0, out=z)
    np.multiply(z, z, out=z)
    np.divide(y, z, out=y)
