"""A native kernel: the functions of an op, in C or Cython, behind the interface that the engine asks."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from microgpt_core.components import Buffer, Kernel, Op, Shape
from microgpt_core.errors import ConfigurationError, SignatureError
from microgpt_simd.boundary import check_call, check_workspace
from microgpt_simd.levels import chosen_level, op_functions
from microgpt_simd.native import Call
from microgpt_simd.threads import team


class NativeKernel(Kernel):
    """An op in native code: what doesn't fit the op's signature is a ShapeError, and never reaches the code.

    `op` is the op itself: `op = Mish()`. `sets` names the gradients that the code can write instead of adding to them.
    """

    op: ClassVar[Op]

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "op") and not isinstance(cls.op, Op):
            raise SignatureError(f"{cls.__name__}.op is {cls.op!r}, expected an op's instance, such as `op = Mish()`")

    def functions(self) -> Mapping[str, object]:
        """The op's capsules: "forward", "backward", and "forward workspace" where that wants memory of its own.

        `include/microgpt_simd.h` says what a function is given.
        """
        raise NotImplementedError

    def has(self, method: str) -> bool:
        return method in self.functions()

    def supports(self, shapes: Mapping[str, Shape], formats: Mapping[str, str]) -> str | None:
        strange = [f"{name} has format {format!r}" for name, format in formats.items() if format not in "fi"]
        return f"{strange[0]}; native kernels know float32 and int32" if strange else None

    def numbers(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes as the code gets them: each a number, or None."""
        return dict(attributes)

    def workspace(
        self, method: str, shapes: Mapping[str, Shape | None], formats: Mapping[str, str], attributes: Mapping[str, Any]
    ) -> int:
        if f"{method} workspace" not in self.functions():
            return 0
        arguments = {n: None if shape is None else (shape, formats[n]) for n, shape in shapes.items()}
        return self.needed(method, Call(self.op.name, arguments, self.numbers(attributes), team()))

    def needed(self, method: str, call: Call) -> int:
        """The bytes that a call wants beside its arguments."""
        ask = self.functions().get(f"{method} workspace")
        with made_for_this_pack(self.op):
            return 0 if ask is None else call.workspace(ask)

    def prepare(
        self, method: str, views: Mapping[str, Buffer | None], attributes: Mapping[str, Any], workspace: Buffer | None
    ) -> Callable[[], object]:
        """The call on these buffers. Raises ShapeError where they aren't what the op's signature wants."""
        attributes = dict(attributes)
        sets = attributes.pop("sets", frozenset())
        if method == "backward" and all(views.get(f"d_{n}") is None for n in self.op.signature.gradients):
            return nothing
        check_call(self.op, method, views, attributes, self.numbers)
        arguments = {n: None if view is None else (view.shape, view.format) for n, view in views.items()}
        call = Call(self.op.name, arguments, self.numbers(attributes), team(), sets)
        if needed := self.needed(method, call):
            check_workspace(f"{self.op.name}.{method}", workspace, needed)
        with made_for_this_pack(self.op):
            return call.bind(self.functions()[method], tuple(views.values()), workspace)


class LevelKernel(NativeKernel):
    """One of this pack's own, at the level that was chosen. It can write every gradient instead of adding to it."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        signature = cls.op.signature
        if "sets" not in vars(cls):
            cls.sets = tuple(name for name in signature.backward if name[2:] in signature.gradients)

    def functions(self) -> Mapping[str, object]:
        return op_functions(chosen_level(), self.op.name)


@contextmanager
def made_for_this_pack(op: Op) -> Iterator[None]:
    """A capsule's name has the number of the interface that its code was compiled for: another is refused."""
    try:
        yield
    except ValueError as error:
        raise ConfigurationError(
            f"{op.name}: its native kernel was compiled for another version of microgpt-simd ({error}); install the "
            f"kernel's pack again, or go without it: --set kernels.{op.name}=reference"
        ) from error


def nothing() -> None:
    """A backward of which nobody wants a gradient."""
