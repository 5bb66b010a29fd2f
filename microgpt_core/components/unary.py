"""Elementwise ops, y[i] = f(x[i]), in two lines each."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from math import prod
from operator import mul
from typing import Any

from microgpt_core.components.buffer import Buffer, Shape, accumulate, flat, write
from microgpt_core.components.op import Cost, Op, Shapes, is_abstract
from microgpt_core.components.signature import Signature, parameters, show
from microgpt_core.errors import SignatureError


class Unary(Op):
    """y[i] = f(x[i]): a complete op in two lines, `f` and its derivative `df`.

    Both take a float and return one; `f(self, x, *, slope=0.1)` adds an attribute. Use `exp`, `log` and
    `divide` of `microgpt_core.components`: they give infinity where Python's would raise.
    """

    flops = 4  # per element and direction: a guess for f's handful of operations; set your own

    @abstractmethod
    def f(self, x: float) -> float:
        raise NotImplementedError

    @abstractmethod
    def df(self, x: float) -> float:
        raise NotImplementedError

    @classmethod
    def read_signature(cls) -> Signature | None:
        """The signature of f(x), with f's keyword-only parameters as attributes."""
        if is_abstract(cls.f) or is_abstract(cls.df):
            return None
        for method in ("f", "df"):
            positional, attributes, _ = parameters(cls, method)
            if len(positional) != 1:
                raise SignatureError(f"{cls.__name__}.{method}{show(positional)}: a Unary takes one number, x")
        names = tuple(attributes)
        return Signature(
            ("x",), frozenset(), attributes, ("out",), (), ("out", "x"), ("d_x", "d_out", "x"), names, names
        )

    def shapes(self, x: Shape, **attributes: Any) -> Shapes:
        return {"out": x}

    def forward(self, out: Buffer, x: Buffer, **attributes: Any) -> None:
        f: Callable[[float], float] = partial(self.f, **attributes) if attributes else self.f
        write(out, list(map(f, flat(x))))

    def backward(self, d_x: Buffer | None, d_out: Buffer, x: Buffer, **attributes: Any) -> None:
        if d_x is None:
            return
        df: Callable[[float], float] = partial(self.df, **attributes) if attributes else self.df
        accumulate(d_x, list(map(mul, flat(d_out), map(df, flat(x)))))

    def cost(self, x: Shape, **attributes: Any) -> Cost:
        """`flops` operations per element, forward and backward."""
        n = prod(x)
        return {"forward": self.flops * n, "backward": (self.flops + 2) * n}
