"""Part: a piece of a model. It owns parameters and other parts, and its `forward` is plain code."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from microgpt_core.components.buffer import Shape, write
from microgpt_core.engine.context import context, scope
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value


class Parameter(Tensor):
    """A tensor that is learned. It has a shape at once, and memory when the model is allocated."""

    __slots__ = ("std", "mean", "decay")

    def __init__(self, shape: Shape, std: float | None = None, mean: float = 0.0, decay: bool = True) -> None:
        super().__init__(Value(shape, "f", persistent=True), requires_grad=True)
        self.std, self.mean, self.decay = std, mean, decay

    @property
    def name(self) -> str:
        return self.value.name

    def initialise(self, rng: random.Random) -> None:
        """Draw every number from a normal distribution, row by row; without `std` each is the mean, and none drawn."""
        n, mean, std = self.value.size, self.mean, self.std
        write(self.data, [mean] * n if std is None else [rng.gauss(mean, std) for _ in range(n)])


class Part:
    """A piece of a model. Calling it runs `forward` inside a scope of the part's name.

    The attributes that are parameters, parts or lists of parts belong to it, in the order in which they
    were set: that order is the order of its parameters.
    """

    name = ""  # within its owner: `q`, or `block.3`

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError

    def __call__(self, *inputs: Any) -> Tensor:
        result: Tensor
        if not self.name:
            result = self.forward(*inputs)
            return result
        with scope(self.name):
            result = self.forward(*inputs)
            context.label(".".join(context.scope), result.value)
        return result

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The parts it owns, by name."""
        for name, value in vars(self).items():
            if isinstance(value, Part):
                yield name, value
            elif isinstance(value, list):
                yield from ((f"{name}.{i}", part) for i, part in enumerate(value) if isinstance(part, Part))

    def parameters(self) -> list[Parameter]:
        """Every parameter in it, its own first; one that two parts share comes once."""
        own = [value for value in vars(self).values() if isinstance(value, Parameter)]
        return list(dict.fromkeys([*own, *(p for _, part in self.parts() for p in part.parameters())]))

    def name_parts(self, path: str = "") -> None:
        """Tell every part and parameter below what it is called: a shared parameter as in its first part."""
        for name, part in reversed(list(self.parts())):
            part.name = name
            part.name_parts(f"{path}{name}.")
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                value.value.name = f"{path}{name}"
