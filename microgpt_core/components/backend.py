"""Who runs ops. An op is *what*, a kernel is one op on one backend, a backend is *who*."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from microgpt_core.components.buffer import Buffer, Shape


class Kernel:
    """One op on one backend: `forward` and `backward` with the op's own parameters, in the op's order.

    A kernel gets what its backend's `view` made of each buffer. A gradient named in `sets` may be
    written instead of added to when this kernel is its first writer: then `backward` gets the keyword
    `sets`, a frozenset of the names to write in this call, and the plan saves itself filling zeros.
    So does `forward`, where `sets` names what the op `mutates` by adding to it.
    """

    sets: ClassVar[tuple[str, ...]] = ()

    def has(self, method: str) -> bool:
        """Whether this kernel has `forward` or `backward`."""
        return getattr(type(self), method) is not getattr(Kernel, method)

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


@dataclass
class LoopPart:
    """A plan's turn in a loop: inputs come from the turn's place in a feed, results go to the turn's place."""

    runs: Sequence[Callable[[], object]]
    reads: Sequence[tuple[Buffer, Buffer]]  # (an input of the plan, its feed: as many of them as there are turns)
    writes: Sequence[tuple[Buffer, Buffer]]  # (an output of the plan, where it goes)
    until: Buffer | None = None  # the loop ends after this part where the turn's number here isn't finite


class Backend:
    """Who runs ops. Its kernels are registered beside it, under `<backend>/<op>`."""

    name: ClassVar[str]
    priority: ClassVar[int] = 0  # `backend: auto` takes the highest first
    passes: ClassVar[tuple[str, ...]] = ()  # `passes: auto` takes these, in this order, where it is the first asked

    def unavailable(self) -> str | None:
        """None where this backend can run on this machine, otherwise the reason why it can't."""
        return None

    def view(self, buffer: Buffer) -> Any:
        """What this backend's kernels want of a buffer (an array over the same bytes, say), made once."""
        return buffer

    def details(self) -> Mapping[str, str]:
        """What `microgpt doctor` tells of this backend on this machine: {"threads": "2, as MICROGPT_THREADS asks"}."""
        return {}

    def join(self, runs: Sequence[Callable[[], object]]) -> Sequence[Callable[[], object]]:
        """Prepared calls that follow one another in a plan, made fewer: native code may run them all in one go."""
        return runs

    def loop(self, parts: Sequence[LoopPart]) -> Callable[[int, int], int] | None:
        """Turns of whole plans in one go: a function of their number and of the first one's, which says how many were
        made whole. None where this backend has no such thing."""
        return None
