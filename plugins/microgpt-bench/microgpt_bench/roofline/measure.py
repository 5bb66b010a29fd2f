"""Measuring the roof: the best of many repeats, of several ways, for each precision and each place that holds data.

It is right in a process whose threads were set before NumPy was loaded, as `kept` starts it. Nothing here is kept.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter

import numpy as np

from microgpt_bench.roofline.microkernels import Array, MicroKernels, NumPyKernels, Pass, Stream
from microgpt_bench.roofline.roof import MEMORY, Level, Roof
from microgpt_core.pipeline.runs.cpu import Cache, caches
from microgpt_core.pipeline.runs.machine import available_memory, in_units

SECONDS = 0.1  # for each way in each round
ROUNDS = 3  # through everything: where the machine is shared, its quiet moments come and go
LEAST_REPEATS = 3  # where one takes nearly as long
ONE_TIMING = 4 << 20  # bytes that are moved between two looks at the clock, at least: 50 microseconds or so
ON_THREADS = 32  # times as many on several threads, which take as long to be told
MEMORY_BYTES = 9 << 28  # 2.25 GiB: no cache has a share in it
OF_FREE = 0.3  # of the memory that is free, at most
PAGE = 4096
GRAIN = 512  # bytes: halves of a buffer stay aligned

Clock = Callable[[], float]


def measure(
    threads: int = 1,
    native: MicroKernels | None = None,
    seconds: float = SECONDS,
    *,
    levels: Sequence[Cache] | None = None,
    memory_bytes: int | None = None,
    clock: Clock = perf_counter,
) -> Roof:
    """The roof over `threads` threads of this process: the best of several rounds."""
    sizes = caches() if levels is None else levels
    largest = room_for_memory() if memory_bytes is None else memory_bytes
    roof, *others = (measure_once(threads, native, seconds, sizes, largest, clock) for _ in range(ROUNDS))
    for other in others:
        roof = roof.best(other)
    return roof


def measure_once(
    threads: int, native: MicroKernels | None, seconds: float, sizes: Sequence[Cache], largest: int, clock: Clock
) -> Roof:
    kernels = kernels_with(native)
    peaks = peaks_once(kernels, seconds, clock)
    streams = {kind: ways for k in reversed(kernels) for kind, ways in k.streams.items()}
    found = []
    for name, holds, nbytes in places(sizes, threads, largest):
        rates = moved(streams, nbytes, threads, seconds, clock)
        found.append(Level(name, holds, **rates, measured_with=nbytes * threads))
    notes = [] if largest >= MEMORY_BYTES else [f"memory measured with {in_units(largest)} only: no more was free"]
    if len(found) == 1:
        notes.append("this system doesn't say how large its caches are")
    return Roof(peaks, tuple(found), threads, measured_by(kernels), tuple(notes))


def measure_peaks(
    native: MicroKernels | None = None, seconds: float = SECONDS, clock: Clock = perf_counter
) -> dict[str, float]:
    """The FLOP/s of each precision alone, with as many threads as this process was told."""
    kernels = kernels_with(native)
    rounds = [peaks_once(kernels, seconds, clock) for _ in range(ROUNDS)]
    return {precision: max(found[precision] for found in rounds) for precision in rounds[0]}


def kernels_with(native: MicroKernels | None) -> list[MicroKernels]:
    """Who measures, the best first."""
    return [native, NumPyKernels()] if native else [NumPyKernels()]


def measured_by(kernels: Sequence[MicroKernels]) -> str:
    """Who measured what: each what those before it don't have."""
    told, known = list[str](), set[str]()
    for k in kernels:
        own = [what for what in (*k.computing, *k.streams) if what not in known]
        known.update(own)
        told.append(f"{k.name} ({', '.join(own)})" if len(kernels) > 1 else k.name)
    return " and ".join(told)


def peaks_once(kernels: Sequence[MicroKernels], seconds: float, clock: Clock) -> dict[str, float]:
    computing = {precision: runs for k in reversed(kernels) for precision, runs in k.computing.items()}
    return {precision: max(rate(run, seconds, clock) for run in runs) for precision, runs in computing.items()}


def room_for_memory() -> int:
    """How much of memory can be gone through."""
    free = available_memory()
    return MEMORY_BYTES if free is None else min(MEMORY_BYTES, int(OF_FREE * free))


def places(levels: Sequence[Cache], threads: int, memory_bytes: int) -> Iterable[tuple[str, int | None, int]]:
    """Of each level: its name, what it holds for all threads together, and the bytes of each thread's buffer.

    That is half of its share, so that nothing else on the machine pushes it out; of memory, all of it.
    """
    for cache in levels:
        sharing = min(threads, cache.shared_by)
        yield f"L{cache.level}", cache.nbytes * -(-threads // cache.shared_by), even(cache.nbytes // 2 // sharing)
    yield MEMORY, None, even(memory_bytes // threads)


def even(nbytes: int) -> int:
    return max(GRAIN, nbytes // GRAIN * GRAIN)


def moved(
    streams: Mapping[str, Sequence[Stream]], nbytes: int, threads: int, seconds: float, clock: Clock
) -> dict[str, float]:
    """Bytes a second of the fastest way of each kind, where every thread has a buffer of its own."""
    times = max(1, ONE_TIMING * (ON_THREADS if threads > 1 else 1) // nbytes)
    buffers, rates = [aligned(nbytes) for _ in range(threads)], dict[str, float]()
    with ThreadPoolExecutor(threads) as pool:
        for kind, ways in streams.items():
            for make in ways:
                passes = [make(buffer, times) for buffer in buffers]
                run = passes[0] if threads == 1 else partial(together, pool, passes)
                rates[kind] = max(rates.get(kind, 0.0), rate(run, seconds, clock))
    return rates


def aligned(nbytes: int) -> Array:
    """A buffer at the beginning of a page: reads across two lines of a cache cost a third of its rate."""
    memory = np.ones(nbytes + PAGE, np.uint8)
    start = -memory.ctypes.data % PAGE
    return memory[start : start + nbytes]


def together(pool: ThreadPoolExecutor, passes: Sequence[Pass]) -> int:
    """Every pass at once, each on a thread; the bytes of all."""
    return sum(future.result() for future in [pool.submit(run) for run in passes])


def rate(run: Callable[[], int], seconds: float, clock: Clock = perf_counter) -> float:
    """How much a second the fastest of many runs does: whatever disturbs one only makes it slower."""
    amount = run()  # warm
    begin, found = clock(), list[float]()
    while len(found) < LEAST_REPEATS or clock() - begin < seconds:
        start = clock()
        run()
        found.append(clock() - start)
    return amount / min(found)
