"""Who runs ops. An op is *what*, a kernel is one op on one backend, a backend is *who*."""

from collections.abc import Mapping
from typing import Any, ClassVar

from microgpt_core.components.buffer import Buffer, Shape


class Kernel:
    """One op on one backend: `forward` and `backward` with the op's own parameters, in the op's order.

    A kernel gets what its backend's `view` made of each buffer. A gradient named in `sets` may be
    written instead of added to when this kernel is its first writer: then `backward` gets the keyword
    `sets`, a frozenset of the names to write in this call, and the plan saves itself filling zeros.
    """

    sets: ClassVar[tuple[str, ...]] = ()

    def supports(self, shapes: Mapping[str, Shape], formats: Mapping[str, str]) -> str | None:
        """None where this kernel can run, otherwise the reason why it can't."""
        return None

    def workspace(self, shapes: Mapping[str, Shape]) -> int:
        """The bytes that a call needs beside its arguments while it runs."""
        return 0

    def forward(self, *views: Any, **attributes: Any) -> None:
        raise NotImplementedError

    def backward(self, *views: Any, **attributes: Any) -> None:
        raise NotImplementedError


class Backend:
    """Who runs ops. Its kernels are registered beside it, under `<backend>/<op>`."""

    name: ClassVar[str]
    priority: ClassVar[int] = 0  # `backend: auto` takes the highest first

    def unavailable(self) -> str | None:
        """None where this backend can run on this machine, otherwise the reason why it can't."""
        return None

    def view(self, buffer: Buffer) -> Any:
        """What this backend's kernels want of a buffer (an array over the same bytes, say), made once."""
        return buffer
