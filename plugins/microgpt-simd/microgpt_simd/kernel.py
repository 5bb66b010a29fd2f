"""A native kernel: the functions of an op, in C or Cython, behind the interface that the engine asks."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from microgpt_core import ops
from microgpt_core.components import Buffer, Kernel, Shape
from microgpt_simd.boundary import check_call, check_workspace
from microgpt_simd.levels import chosen_level, level_kernels
from microgpt_simd.native import Call
from microgpt_simd.threads import team

Arguments = dict[str, tuple[Shape, str] | None]


class NativeKernel(Kernel):
    """An op in native code. `functions` has its capsules: "forward", "backward", "forward workspace", ...

    `op` is the op's name, for messages. See `include/microgpt_simd.h` for what a function is given.
    """

    op: str

    @abstractmethod
    def functions(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def has(self, method: str) -> bool:
        return method in self.functions()

    def supports(self, shapes: Mapping[str, Shape], formats: Mapping[str, str]) -> str | None:
        strange = [f"{name} has format {format!r}" for name, format in formats.items() if format not in "fi"]
        return f"{strange[0]}; native kernels know float32 and int32" if strange else None

    def workspace(
        self, method: str, shapes: Mapping[str, Shape | None], formats: Mapping[str, str], attributes: Mapping[str, Any]
    ) -> int:
        if (ask := self.functions().get(f"{method} workspace")) is None:
            return 0
        arguments = {n: None if shape is None else (shape, formats[n]) for n, shape in shapes.items()}
        nbytes: int = Call(self.op, arguments, dict(attributes), team()).workspace(ask)
        return nbytes

    def prepare(
        self, method: str, views: Mapping[str, Buffer | None], attributes: Mapping[str, Any], workspace: Buffer | None
    ) -> Callable[[], object]:
        attributes = dict(attributes)
        sets = attributes.pop("sets", ())
        arguments = {n: None if view is None else (view.shape, view.format) for n, view in views.items()}
        call = Call(self.op, arguments, attributes, team(), sets)
        ask = self.functions().get(f"{method} workspace")
        if ask is not None:
            check_workspace(f"{self.op}.{method}", workspace, call.workspace(ask))
        bound: Callable[[], object] = call.bind(self.functions()[method], tuple(views.values()), workspace)
        return bound


class LevelKernel(NativeKernel):
    """One of this pack's own, at the level that was chosen. It can write every gradient instead of adding to it."""

    def __init_subclass__(cls) -> None:
        signature = ops.OPS[cls.op].signature
        cls.sets = tuple(name for name in signature.backward if name[2:] in signature.gradients)

    def prepare(
        self, method: str, views: Mapping[str, Buffer | None], attributes: Mapping[str, Any], workspace: Buffer | None
    ) -> Callable[[], object]:
        """The call on these buffers. Raises ShapeError where they aren't what the op's signature wants."""
        if method == "backward" and not any(view is not None for name, view in views.items() if name in self.sets):
            return nothing
        check_call(ops.OPS[self.op], method, views, {n: v for n, v in attributes.items() if n != "sets"})
        return super().prepare(method, views, attributes, workspace)

    def functions(self) -> Mapping[str, Any]:
        prefix = f"{self.op}."
        kernels = level_kernels(chosen_level())
        return {name.removeprefix(prefix): made for name, made in kernels.items() if name.startswith(prefix)}


def nothing() -> None:
    """A backward of which nobody wants a gradient."""
