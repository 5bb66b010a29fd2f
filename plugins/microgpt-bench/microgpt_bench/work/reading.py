"""Reading as many bytes as a token needs, as fast as this machine can: it races beside whoever writes tokens, since how
fast memory is changes from minute to minute where others use it, too.
"""

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from microgpt_bench.roofline.measure import ONE_TIMING, aligned, even, kernels_with, together
from microgpt_bench.roofline.microkernels import Pass, Stream
from microgpt_bench.work.roof import native_kernels
from microgpt_core.components.peer import Generation


class Reading(Generation):
    """Goes over the bytes once a token, each thread over its part, and writes nothing."""

    def __init__(self, nbytes: int, threads: int) -> None:
        part = even(nbytes // threads)
        self.buffers, self.pool = [aligned(part) for _ in range(threads)], ThreadPoolExecutor(threads)
        self.tokens = threads * part / nbytes  # that one time is counted with, since parts are rounded
        known = kernels_with(native_kernels(threads))  # the best first
        self.way = min(next(k.streams["read"] for k in known if "read" in k.streams), key=self.seconds)

    def seconds(self, way: Stream) -> float:
        """What this way takes, the second time, for so many times that calling it counts for nothing."""
        times = max(1, ONE_TIMING // len(self.buffers[0]))
        self.go_over(way, times)
        start = perf_counter()
        self.go_over(way, times)
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
