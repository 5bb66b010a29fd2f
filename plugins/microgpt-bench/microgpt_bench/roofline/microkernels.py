"""Micro-kernels: the smallest pieces of code that keep a machine's arithmetic, or its memory, busy. Here NumPy's.

A native pack brings better ones by a method of its backend, which nothing else looks at:

    class Simd(Backend):
        def microkernels(self, threads: int) -> MicroKernels: ...

They come first for what they have; what they leave out, NumPy measures.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from microgpt_bench.results.machine import blas

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Compute: TypeAlias = Callable[[], int]  # keeps every thread at multiplying and adding; the operations that it made
Pass: TypeAlias = Callable[[], int]  # goes through the buffer that it was made for; the bytes that it moved
Stream: TypeAlias = Callable[[Array, int], Pass]  # made for a buffer, which it goes through about so many times


LINE = 64  # bytes that caches move at once
AT_ONCE = 32  # windows that one call writes


class MicroKernels(Protocol):
    """Ways to be as fast as this machine can; of several the fastest counts."""

    name: str  # "microgpt-simd 0.1.0 with avx512"
    computing: Mapping[str, Sequence[Compute]]  # by precision
    # By "read", "write", "copy" from one half of a buffer to the other, and "triad", of a buffer's thirds x = y + 3 z.
    streams: Mapping[str, Sequence[Stream]]

    # A stream uses one thread, and lets go of the interpreter's lock: `measure` runs one on each core.


class NumPyKernels:
    """Products by the BLAS that NumPy brings, in float32 and float64; reads and copies by its loops."""

    SIZES = (256, 384, 512, 1024, 2048)  # of square matrices: the best one differs from BLAS to BLAS

    def __init__(self) -> None:
        self.name = f"NumPy {np.__version__} with {blas()}"
        self.computing: Mapping[str, Sequence[Compute]] = {
            p: [product(n, p) for n in self.SIZES] for p in ("float32", "float64")
        }
        self.streams: Mapping[str, Sequence[Stream]] = {"read": (dots, maxima), "write": (fills,), "copy": (copies,)}


def product(n: int, precision: str) -> Compute:
    """A product of two square matrices. They are made when it is first run."""
    matrices: list[Array] = []

    def run() -> int:
        if not matrices:
            matrices.extend(np.ones((n, n), precision) for _ in range(3))
        a, b, out = matrices
        np.matmul(a, b, out=out)
        return 2 * n**3

    return run


# A single pass over the first cache takes less time than calling a function. So one call makes many of them.


def again(numbers: Array, times: int) -> Array:
    """Rows that are all the same memory."""
    return as_strided(numbers, (times, numbers.size), (0, numbers.itemsize), writeable=False)


def windows(numbers: Array, times: int) -> Array:
    """Rows that begin a line of the cache after the one before and hold nearly all of the memory. To be written: NumPy
    would go through rows that are all the same memory column by column.
    """
    between, most = LINE // numbers.itemsize, max(1, numbers.nbytes // LINE // 4)
    rows = min(times, AT_ONCE, most)
    return as_strided(numbers, (rows, numbers.size - (rows - 1) * between), (LINE, numbers.itemsize))


def dots(data: Array, times: int) -> Pass:
    """Each row's first half times its second: two loads for each multiply-add, by BLAS."""
    first, second = (again(half, times) for half in np.split(data.view(np.float32), 2))
    out = np.empty(times, np.float32)

    def run() -> int:
        np.vecdot(first, second, out=out)
        return times * data.nbytes

    return run


def maxima(data: Array, times: int) -> Pass:
    """The largest number of each row: one load and one instruction that is as wide as the machine's registers."""
    rows, out = again(data.view(np.int32), times), np.empty(times, np.int32)

    def run() -> int:
        np.maximum.reduce(rows, axis=1, out=out)
        return times * data.nbytes

    return run


def fills(data: Array, times: int) -> Pass:
    """The same byte everywhere, for which C libraries have their widest loops."""
    rows = windows(data, times)
    calls = -(-times // len(rows))

    def run() -> int:
        for _ in range(calls):
            rows.fill(1)
        return calls * rows.nbytes

    return run


def copies(data: Array, times: int) -> Pass:
    """Plain copies from one half to the other."""
    target, source = (windows(half, times) for half in np.split(data.view(np.float32), 2))
    calls = -(-times // len(target))

    def run() -> int:
        for _ in range(calls):
            np.copyto(target, source)
        return calls * (target.nbytes + source.nbytes)

    return run
