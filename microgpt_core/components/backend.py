"""Who runs ops. An op is *what*, a kernel is one op on one backend, a backend is *who*."""

from collections.abc import Callable, Mapping
from functools import partial
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

    def workspace(
        self, method: str, shapes: Mapping[str, Shape | None], formats: Mapping[str, str], attributes: Mapping[str, Any]
    ) -> int:
        """The bytes that a call of `forward` or `backward` needs beside its arguments while it runs.

        `shapes` has every argument, None for one that isn't there.
        """
        return 0

    def prepare(
        self, method: str, views: Mapping[str, Any], attributes: Mapping[str, Any], workspace: Any
    ) -> Callable[[], object]:
        """The call on these views of its arguments: made once, run many times.

        Override it to do once what every run would do again, such as reshaping views. `workspace` is the view of
        as many bytes as the method of that name asked for (None for none), which calls share: what a run leaves
        there is gone at the next.
        """
        return partial(getattr(self, method), *views.values(), **attributes)

    def forward(self, *views: Any, **attributes: Any) -> Any:
        raise NotImplementedError

    def backward(self, *views: Any, **attributes: Any) -> Any:
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
