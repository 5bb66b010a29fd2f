"""Reading as many bytes as a token needs, as fast as this machine can: it races beside whoever writes tokens, since how
fast memory is changes from minute to minute where others use it, too.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from time import perf_counter

from microgpt_bench.golden import GOLDEN
from microgpt_bench.roofline.measure import aligned, even, kernels_with, together
from microgpt_bench.roofline.microkernels import Pass, Stream
from microgpt_bench.work.roof import native_kernels
from microgpt_core.components.peer import Generation
from microgpt_core.engine.capture import plan_of
from microgpt_core.engine.context import no_grad
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value

WEIGHT_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2}


class Reading(Generation):
    """Goes over the bytes once a token, each thread over its part, and writes nothing."""

    def __init__(self, model: str, precision: str, threads: int) -> None:
        nbytes = WEIGHT_BYTES[precision] * weights_read(model)
        self.buffers = [aligned(even(nbytes // threads)) for _ in range(threads)]
        self.pool = ThreadPoolExecutor(threads)
        first, *_ = kernels_with(native_kernels(threads))
        self.way = min(first.streams["read"], key=self.seconds)

    def seconds(self, way: Stream) -> float:
        """What this way takes, the second time."""
        self.go_over(way, 1)
        start = perf_counter()
        self.go_over(way, 1)
        return perf_counter() - start

    def go_over(self, way: Stream, times: int) -> None:
        passes: list[Pass] = [way(buffer, times) for buffer in self.buffers]
        if len(passes) == 1:
            passes[0]()
        else:
            together(self.pool, passes)

    def run(self, n: int) -> list[int]:
        self.go_over(self.way, n)
        return []


@cache
def weights_read(model: str) -> int:
    """How many numbers of the weights a token needs: all of most, and of a table its row."""
    made = GOLDEN[model].shape()
    made.set_precision("float32")

    def forward(tokens: Tensor, positions: Tensor) -> Tensor:
        with no_grad():
            return made(tokens, positions)

    plan, read = plan_of(forward, *(Tensor(Value((1, 1), "i")) for _ in range(2))), dict[int, int]()
    for call in plan.calls:
        for i in call.arguments.values():
            if i is not None and plan.values[i].role == "persistent":
                whole, made_of_it = plan.values[i].nbytes, sum(plan.values[j].nbytes for j in call.written)
                read[i] = max(read.get(i, 0), whole if whole <= call.bytes else made_of_it)
    return sum(read.values()) // WEIGHT_BYTES["float32"]
