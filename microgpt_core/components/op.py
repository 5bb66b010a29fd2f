"""What an op is: a piece of mathematics with its derivative, and a signature that is its contract.

    class RMSNorm(Op):
        def shapes(self, x, weight=None, *, eps=1e-5): ...                  inputs, then attributes
        def forward(self, out, rstd, x, weight, *, eps): ...                outputs, saved values, inputs
        def backward(self, d_x, d_weight, d_out, rstd, x, weight, *, eps)   gradients, then what it reads

`forward` overwrites its outputs and saved values. `backward` adds into `d_<input>` (None where nobody
wants that gradient) and may read only what its signature names: that is what a plan keeps alive. What
has a `d_<name>` that backward reads is an output, whatever else forward makes is saved for backward.
Signatures are read once, when the class is defined; a name that fits nothing is an error there.
"""

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

from microgpt_core.components.buffer import DTYPES, Shape
from microgpt_core.components.signature import Signature, read_signature
from microgpt_core.errors import ShapeError, SignatureError

Shapes: TypeAlias = Mapping[str, Shape | tuple[str, Shape]]  # of outputs and saved values: "out" -> (4, 16)
Cost: TypeAlias = Mapping[str, Any]  # "forward" -> operations


class Op:
    """What is computed. Subclass it with `shapes`, `forward` and, where it has a derivative, `backward`.

    Calling an op computes it and records the call: `ops.rmsnorm(x, weight, eps=1e-5)`. The op's name is
    its class's in snake case (`CrossEntropy` -> `cross_entropy`) unless the class sets `name`.
    """

    name: ClassVar[str]
    signature: ClassVar[Signature]
    integers: ClassVar[tuple[str, ...]] = ()  # the inputs that hold int32
    mutates: ClassVar[tuple[str, ...]] = ()  # the inputs that forward changes in place
    rounds: ClassVar[bool] = False  # float32 inputs, on purpose: float64 then isn't the measure of its numbers
    tolerance: ClassVar[float] = 1e-6  # in float32: how far a kernel may be off, as a share of what it is measured by

    @abstractmethod
    def shapes(self, *inputs: Any, **attributes: Any) -> Shapes:
        """From the shapes of the inputs, the shapes of outputs and saved values, by name.

        `("i", shape)` gives another number format than the inputs' common float format. Raises
        ShapeError (through `expect`) where the inputs don't fit each other.
        """
        raise NotImplementedError

    @abstractmethod
    def forward(self, *buffers: Any, **attributes: Any) -> None:
        """Overwrite outputs and saved values with what the inputs give."""
        raise NotImplementedError

    def backward(self, *buffers: Any, **attributes: Any) -> None:
        """Add to each `d_<input>` what the outputs' gradients give."""
        raise NotImplementedError

    def cost(self, *inputs: Any, **attributes: Any) -> Cost:
        """Floating-point operations, a multiply-add being two: `{"forward": n, "backward": n}`.

        What only one gradient needs may stand under its own name, `"d_weight": n`, and is counted where
        that gradient is wanted. `"touched": {"weight": n}` says how many numbers of an input (and of its
        gradient) are really visited, where that isn't all of them.
        """
        return {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", cls.__name__).lower()
        if signature := cls.read_signature():
            cls.signature = signature

    @classmethod
    def read_signature(cls) -> Signature | None:
        """The contract that the methods spell out; None while the class is still abstract."""
        if is_abstract(cls.forward) or is_abstract(cls.shapes):
            return None
        return read_signature(cls, has_backward=cls.backward is not Op.backward)

    def __call__(self, *inputs: Any, **attributes: Any) -> Any:
        """Compute, and record the call for `backward()`. A Tensor among the inputs knows how."""
        for value in (*inputs, *attributes.values()):
            if run := getattr(value, "run_op", None):
                return run(self, inputs, attributes)
        found = ", ".join(type(v).__name__ for v in inputs) or "nothing"
        raise SignatureError(
            f"{self.name}{self.signature} takes Tensors, found {found}; make one with mg.tensor([...])"
        )

    def expect(self, argument: str, found: Shape | None, expected: tuple[int | str, ...]) -> None:
        """Raise ShapeError unless `found` fits. A str in `expected` names an axis of any size; None always fits."""
        if found is None:
            return
        if len(found) != len(expected) or any(isinstance(e, int) and e != f for f, e in zip(found, expected)):
            raise ShapeError(f"{self.name}: {argument} has shape {show_shape(found)}, expected {show_shape(expected)}")

    def __repr__(self) -> str:
        return f"{self.name}{self.signature}"


def is_abstract(method: Any) -> bool:
    """Whether a class still has the base's empty method."""
    return getattr(method, "__isabstractmethod__", False)


def show_shape(shape: tuple[int | str, ...], format: str | None = None) -> str:
    """A shape as people write it: `(4, 16)`, or `float32 (4, 16)`."""
    text = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
    return f"{DTYPES.get(format, format)} {text}" if format else text
