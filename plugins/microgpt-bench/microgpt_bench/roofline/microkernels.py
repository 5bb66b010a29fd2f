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
Pass: TypeAlias = Callable[[], object]  # moves every byte of the buffers that it was made for
Stream: TypeAlias = Callable[[Array, int], Pass]  # made for a buffer of bytes, which it goes through so many times


class MicroKernels(Protocol):
    """Ways to be as fast as this machine can; of several the fastest counts."""

    name: str  # "microgpt-simd 0.1 (avx512)"
    computing: Mapping[str, Sequence[Compute]]  # by precision
    streams: Mapping[str, Sequence[Stream]]  # by "read", "write", and "copy" from one half of a buffer to the other

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


def again(numbers: Array, times: int) -> Array:
    """Rows that are all the same memory: one call goes through it many times, and costs as much as one."""
    return as_strided(numbers, (times, numbers.size), (0, numbers.itemsize), writeable=False)


def dots(data: Array, times: int) -> Pass:
    """Each row's first half times its second: two loads for each multiply-add, by BLAS."""
    first, second = (again(half, times) for half in np.split(data.view(np.float32), 2))
    out = np.empty(times, np.float32)
    return lambda: np.vecdot(first, second, out=out)


def maxima(data: Array, times: int) -> Pass:
    """The largest number of each row: one load and one instruction that is as wide as the machine's registers."""
    rows, out = again(data.view(np.int32), times), np.empty(times, np.int32)
    return lambda: np.maximum.reduce(rows, axis=1, out=out)


def fills(data: Array, times: int) -> Pass:
    """One number everywhere, a call each time."""
    numbers = data.view(np.float32)

    def run() -> None:
        for _ in range(times):
            numbers.fill(1.0)

    return run


def copies(data: Array, times: int) -> Pass:
    """Plain copies, a call each: in the first cache, calling takes longer than copying."""
    target, source = np.split(data.view(np.float32), 2)

    def run() -> None:
        for _ in range(times):
            np.copyto(target, source)

    return run
