"""What holds for the code that runs right now: eager or capture, with gradients or without, in which scope."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from microgpt_core.components.buffer import Shape
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.value import Call, Trace, Value


class Context(threading.local):
    """A thread's own state; every thread begins eager, with gradients, on the reference."""

    def __init__(self) -> None:
        self.gradients = True
        self.scope: tuple[str, ...] = ()
        self.trace: Trace | None = None  # set while a plan is being written down
        self.kernels: Kernels = REFERENCE

    def label(self, scope: str, value: Value) -> None:
        """In a capture: `value` is what `scope` computed, and can be watched under that name."""
        if self.trace is not None:
            self.trace.labels[scope] = value


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
    """Run eager ops on these kernels. A plan has its own."""
    before, context.kernels = context.kernels, kernels
    try:
        yield
    finally:
        context.kernels = before


@contextmanager
def recording(trace: Trace) -> Iterator[None]:
    """Write calls into `trace` instead of running them, whatever scope the capture was asked for in."""
    before, context.trace, context.scope = context.scope, trace, ()
    try:
        yield
    finally:
        context.trace, context.scope = None, before


def capturing() -> bool:
    return context.trace is not None


def new_value(shape: Shape, format: str, gradient_of: Value | None = None) -> Value:
    """A value of zeros; in a capture, the promise of one."""
    value = Value(shape, format, persistent=not capturing(), gradient_of=gradient_of)
    if not capturing():
        value.allocate()
    return value


def perform(call: Call) -> None:
    """Write the call down where a plan is being captured; otherwise run it now."""
    if context.trace is not None:
        context.trace.add(call)
    else:
        buffers = [None if v is None else v.buffer() for v in call.arguments.values()]
        context.kernels.choose(call).bind(call, buffers)()
