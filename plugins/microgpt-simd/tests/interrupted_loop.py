"""A loop that would take minutes, and a signal after a moment: prints how it ended, for a process of its own."""

import signal
import sys
import threading
from types import FrameType

from microgpt_core import ops
from microgpt_core.components import flat
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.capture import capture
from microgpt_core.engine.loop import Loop
from microgpt_core.engine.tensor import tensor
from microgpt_simd.backend import Simd
from microgpt_simd.native import Program
from microgpt_simd.ops import MatMul, Mul, Sum

TURNS = 1_000_000
TINY = float.fromhex("0x1p-1060")  # a denormal: 0 for as long as the loop has them flushed
seen = []


def note(number: int, frame: FrameType | None) -> None:
    """A handler that lets the loop go on the first time, as a trainer's does, and ends it the second."""
    seen.append(TINY * 1.0 == TINY)
    if len(seen) == 2:
        raise KeyboardInterrupt
    interrupt_soon()


def interrupt_soon() -> None:
    threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()


def long_loop() -> Loop:
    kernels = Kernels([Simd()], {"simd/matmul": MatMul(), "simd/sum": Sum(), "simd/mul": Mul()})
    wide = tensor([[1.0] * 100] * 100)
    one = tensor([1.0])
    replay = capture(lambda x: x * ops.sum(ops.matmul(wide, wide)), one, kernels=kernels).replay_for(one)
    if not all(isinstance(run, Program) for run in replay.program):
        sys.exit("this loop isn't native")
    loop = Loop([replay], TURNS)
    loop.feeds[0][0].cast("B")[:] = b"\0\0\x80\x3f" * TURNS  # ones
    return loop


if __name__ == "__main__":
    # A background process of some shells is begun with this signal ignored.
    signal.signal(signal.SIGINT, note if sys.argv[1] == "noted" else signal.default_int_handler)
    loop = long_loop()
    interrupt_soon()
    try:
        loop.run(TURNS)
    except KeyboardInterrupt:
        left = flat(loop.results[0][0]).tolist().count(0.0)
        print("interrupted", 0 < left < TURNS, TINY * 1.0 == TINY, seen)
