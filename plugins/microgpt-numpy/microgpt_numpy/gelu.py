"""GELU: f(x) = x P(x), with P the normal distribution, which NumPy doesn't have.

With u = |x| / sqrt(2) and s = (4 - u) / (4 + u), a number between -1 and 1,

    P(-|x|) = erfc(u) / 2 = exp(-u^2) h(s) (1 + s) / 4          f(x)  = max(x, 0) - |x| P(-|x|)

where h(s) = (1 + u / 4) erfc(u) exp(u^2) is smooth, so that few terms of its Chebyshev series are enough: 12 for
float32, 22 for float64 (the idea is Shepherd and Laframboise's, 1981, doi:10.2307/2007741). The coefficients come from
that definition, computed with 40 digits: c_k = (2 - [k = 0]) mean_j(h(cos a_j) cos(k a_j)), a_j = pi (j + 1/2) / 80.
"""

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly

from microgpt_numpy.activations import positive
from microgpt_numpy.elementwise import Activation, Spare
from microgpt_numpy.kernel import Array

COEFFICIENTS = (  # of h
    0.40802446954913146,
    0.37635823567636745,
    0.14758035457222363,
    0.049571317930027586,
    0.014227107557117175,
    0.003443493262717524,
    0.000682254183283808,
    0.00010340451975756189,
    9.72854595199015e-06,
    -1.1988713758412045e-07,
    -2.1747767703449563e-07,
    -3.0291767735991394e-08,
    9.47991756520455e-10,
    8.633411694990956e-10,
    6.872156425953403e-11,
    -1.7034898438296277e-11,
    -3.3921306868290887e-12,
    2.6158087668540244e-13,
    1.212767580310864e-13,
    -2.114689543244809e-15,
    -4.117340933404178e-15,
    -6.328712721700708e-17,
)
POWERS = {"f": cheb2poly(COEFFICIENTS[:12]).tolist(), "d": cheb2poly(COEFFICIENTS).tolist()}  # of h, the constant first
FAR = 40.0  # P(-40) is 0 in both formats, and 40 P(-40) isn't NaN as infinity's would be
DENSITY = 1 / (2 * np.pi) ** 0.5


class GELU(Activation):
    def f(self, y: Array, x: Array, spare: Spare) -> None:
        z, power = spare
        tail(y, x, z, power)
        np.multiply(y, power, out=y)
        np.multiply(y, z, out=y)
        positive(z, x)
        np.subtract(z, y, out=y)

    def df(self, y: Array, x: Array, spare: Spare) -> None:
        """P(x) + x p(x) = [x >= 0] + sign(x) (|x| p(x) - P(-|x|))."""
        z, power = spare
        tail(y, x, z, power)
        np.multiply(z, DENSITY, out=z)
        np.subtract(z, y, out=y)
        np.multiply(y, power, out=y)
        np.copysign(1.0, x, out=z)
        np.multiply(y, z, out=y)
        np.maximum(z, 0.0, out=z)
        np.add(y, z, out=y)


def tail(y: Array, x: Array, z: Array, power: Array) -> None:
    """z = |x|, power = exp(-z^2 / 2) and y = P(-z) / power."""
    np.abs(x, out=z)
    np.minimum(z, FAR, out=z)
    s = np.multiply(z, 0.5**0.5, out=power)
    np.add(s, 4.0, out=s)
    np.divide(8.0, s, out=s)
    np.subtract(s, 1.0, out=s)
    last, *others = reversed(POWERS[x.dtype.char])
    y.fill(last)
    for c in others:
        np.multiply(y, s, out=y)
        np.add(y, c, out=y)
    np.add(s, 1.0, out=s)
    np.multiply(s, 0.25, out=s)
    np.multiply(y, s, out=y)
    np.multiply(z, z, out=power)
    np.multiply(power, -0.5, out=power)
    np.exp(power, out=power)
