"""How fast this processor computes and moves numbers at best, by the micro-kernels of `kernels/roofs.c`.

They are no ops, and no plan has them: microgpt-bench draws its roofline by them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from microgpt_core.components import Buffer, new_buffer
from microgpt_core.errors import ShapeError
from microgpt_simd import __version__
from microgpt_simd.levels import chosen_level, level_kernels
from microgpt_simd.native import Call, cpu_features
from microgpt_simd.threads import team_of

STRIDE = 128  # numbers: a pass goes over whole strides
WIDEST = 16  # numbers of a vector
ROUNDS = 100_000  # in a run of the arithmetic: a millisecond or so


class Computing(NamedTuple):
    """A micro-kernel of arithmetic."""

    kernel: str
    precision: str
    needs: frozenset[str]  # of the processor, beyond the level
    flops: int  # of a number in a round
    factor: bytes  # 1, as the kernel reads it: so every number counts the rounds, and tests see that they were made


COMPUTING = (
    Computing("roof.fma", "float32", frozenset(), 2, bytes.fromhex("0000803f")),
    Computing("roof.pairs", "bfloat16", frozenset({"avx512bf16"}), 4, bytes.fromhex("803f803f")),
    Computing("roof.tiles", "bfloat16", frozenset(), 64, bytes.fromhex("803f803f")),  # a sum takes 32 products
)
STREAMS = {  # kind -> its kernels, and how many parts of a buffer they go through side by side
    "read": (("roof.read",), 1),
    "write": (("roof.write", "roof.write past"), 1),
    "copy": (("roof.copy", "roof.copy past"), 2),
    "triad": (("roof.triad", "roof.triad past"), 3),
}


class Peak:
    """Arithmetic on every thread. A run makes so many rounds on all of its sums."""

    def __init__(self, what: Computing, threads: int, rounds: int = ROUNDS) -> None:
        kernels = level_kernels(chosen_level())
        factors = Buffer(bytearray(2 * what.factor)).cast("f")
        call = Call(what.kernel, {"factors": ((2,), "f")}, {"rounds": rounds}, team_of(threads))
        room = new_buffer((call.workspace(kernels[f"{what.kernel} workspace"]),), "B")
        self.sums = room.cast("f")
        self.call = call.bind(kernels[what.kernel], [factors], room)
        self.flops = what.flops * len(self.sums) * rounds

    def __call__(self) -> int:
        """The operations that were made."""
        self.call()
        return self.flops


class Pass:
    """Goes over a buffer so many times, on the thread that asks. Raises ShapeError where there is too little of it.

    Of its parts the first is written, but for "read"; what is left over a stride isn't looked at.
    """

    def __init__(self, kernel: str, parts: int, memory: Buffer, times: int) -> None:
        numbers = memory.cast("B").cast("f")
        each = len(numbers) // parts // STRIDE * STRIDE
        if not each:
            raise ShapeError(f"{kernel}: the buffer has {memory.nbytes} bytes, expected at least {4 * STRIDE * parts}")
        vector = new_buffer((WIDEST,))  # what is written everywhere, or what is gathered
        first, others = numbers[:each], numbers[each : parts * each] if parts > 1 else vector
        self.out: Buffer = vector if kernel == "roof.read" else first
        self.x: Buffer = first if kernel == "roof.read" else others
        shapes = {"out": (self.out.shape, "f"), "x": (self.x.shape, "f")}
        self.call = Call(kernel, shapes, {"rounds": times}, team_of(1))
        self.call.bind(level_kernels(chosen_level())[kernel], [self.out, self.x], None)
        self.nbytes = 4 * each * parts * times

    def __call__(self) -> int:
        """The bytes that were moved."""
        self.call()
        return self.nbytes


class MicroKernels:
    """What microgpt-bench asks a backend for: runs by precision, and by what is done with memory.

    Of several the fastest counts. A run of arithmetic uses `threads` threads; a pass over memory that of its caller,
    without the interpreter's lock.
    """

    def __init__(self, threads: int) -> None:
        level, kernels = chosen_level(), level_kernels(chosen_level())
        self.name = f"microgpt-simd {__version__} with {level}"
        here = [one for one in COMPUTING if one.kernel in kernels and one.needs <= cpu_features()]
        self.computing: Mapping[str, Sequence[Peak]] = {
            precision: [Peak(one, threads) for one in here if one.precision == precision]
            for precision in dict.fromkeys(one.precision for one in here)
        }
        self.streams: Mapping[str, Sequence[Callable[[Any, int], Pass]]] = {
            kind: [partial(over, kernel, parts) for kernel in ways] for kind, (ways, parts) in STREAMS.items()
        }


def over(kernel: str, parts: int, data: Any, times: int) -> Pass:
    """A pass over an array of bytes, whoever made it."""
    return Pass(kernel, parts, Buffer(data), times)
