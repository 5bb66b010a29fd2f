"""What holds for the code that runs right now: eager or capture, with gradients or without, in which scope."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.value import Call, Value


class Context(threading.local):
    """A thread's own state; every thread begins eager, with gradients, on the reference."""

    def __init__(self) -> None:
        self.gradients = True
        self.scope: tuple[str, ...] = ()
        self.record: Callable[[Call], None] | None = None  # set while a plan is being written down
        self.label: Callable[[str, Value], None] | None = None
        self.kernels: Kernels = REFERENCE


context = Context()


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without recording: nothing inside can be differentiated, so nothing is kept for it."""
    before, context.gradients = context.gradients, False
    try:
        yield
    finally:
        context.gradients = before


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Name what is computed inside: scopes nest into `block.3.attention.q`."""
    before, context.scope = context.scope, (*context.scope, name)
    try:
        yield
    finally:
        context.scope = before


@contextmanager
def use_kernels(kernels: Kernels) -> Iterator[None]:
    """Run eager ops on these kernels."""
    before, context.kernels = context.kernels, kernels
    try:
        yield
    finally:
        context.kernels = before


def capturing() -> bool:
    return context.record is not None


def perform(call: Call) -> None:
    """Write the call down where a plan is being captured; otherwise run it now."""
    if context.record is not None:
        context.record(call)
        return
    for value in call.arguments.values():
        if value is not None:
            value.allocate()
    context.kernels.prepare(call)()
