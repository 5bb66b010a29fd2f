"""How a matrix product gets fast: the steps of docs/explanation/simd.md, each timed.

    python benchmarks/product_steps.py [--size 384x384x1536 ...] [--rounds 9] [--json]

C (m, n) = A (m, k) B (k, n): by pure Python, by the functions of product_steps.c, compiled for this processor, and by
the kernels of microgpt-simd at every level that is here; on one thread, pinned to its core where the system can do
that. Each result is first compared with that of the three loops. Then all of them are timed in turn, round by round,
beside the most that this processor can do; printed are medians. It needs microgpt-simd and a C compiler (CC, or cc).
"""

import argparse
import ctypes
import json
import os
import platform
import random
import shutil
import subprocess
import sys
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from math import nan, prod
from mmap import mmap
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import thread_time
from typing import Any, NamedTuple

from microgpt_core import ops
from microgpt_core.components import Buffer, flat, rows
from microgpt_core.pipeline.runs.cpu import cpu
from microgpt_simd.levels import level_kernels, levels_here
from microgpt_simd.native import Call
from microgpt_simd.roofs import MicroKernels
from microgpt_simd.threads import team_of

SOURCE = Path(__file__).with_suffix(".c")
VECTORS = SOURCE.parents[1] / "plugins" / "microgpt-simd" / "microgpt_simd" / "kernels"  # where vector.h is
FLAGS = ["-O3", "-std=c11", "-ffp-contract=off", "-shared", "-fPIC", f"-I{VECTORS}"]
if platform.machine().lower() in ("x86_64", "amd64"):
    FLAGS += ["-march=native", "-mprefer-vector-width=512"]
FUNCTIONS = ("three_loops", "along_rows", "one_vector", "tiles", "packed", "blocked")  # steps 1 to 6
PAIRED = {"avx512bf16": 8, "amx": 9}  # the levels that multiply pairs of bfloat16, and their steps
SIZES = [(384, 384, 1536), (768, 3072, 768)]  # m, k, n of products in the golden models char and gpt2
MULTIPLES = (12, 1, 192)  # of which m, k and n are, so that tiles of every level come out even
ROWS = 4  # of A that pure Python is given: all of them would take minutes
TOLERANCE = 1e-6  # relative to the sum of |a||b|
LEAST = 0.02  # seconds that a timing takes


class Product:
    """One product's numbers: A and B, the columns of B as the rows of a weight, and room for C."""

    def __init__(self, m: int, k: int, n: int) -> None:
        self.m, self.k, self.n = m, k, n
        self.a, self.b, self.weight, self.c = pages(m, k), pages(k, n), pages(n, k), pages(m, n)
        rng, values = random.Random(1), [i / 64 for i in range(-128, 129)]  # of 8 bits, so that bfloat16 has them
        for x in (self.a, self.b):
            fill(x, rng.choices(values, k=x.nbytes // 4))
        for j, row in enumerate(rows(self.weight)):
            row[:] = flat(self.b)[j :: self.n]


class Step(NamedTuple):
    """One way to compute C, or its first rows."""

    number: int
    name: str
    rows: int
    run: Callable[[], object]


class WrongStep(Exception):
    """A step's result isn't that of the three loops."""


def pages(*shape: int) -> Buffer:
    """A buffer that begins at a page, as a plan's do."""
    return Buffer(mmap(-1, 4 * prod(shape))).cast("f", shape)


def fill(x: Buffer, values: Sequence[float]) -> None:
    flat(x)[:] = Buffer(array("f", values))


def compiled(source: Path, folder: Path) -> ctypes.CDLL:
    """The functions of a C file. Leaves the program where it can't be compiled."""
    compiler = os.environ.get("CC") or "cc"
    if shutil.which(compiler) is None:
        sys.exit(f"product_steps.py: no C compiler: {compiler} isn't found; install GCC or Clang, or name one: CC=...")
    library = folder / "product_steps.so"
    done = subprocess.run([compiler, *FLAGS, str(source), "-o", str(library)], capture_output=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"product_steps.py: {compiler} can't compile {source.name}:\n{done.stderr}")
    return ctypes.CDLL(str(library))


def function(library: ctypes.CDLL, name: str, product: Product) -> Callable[[Buffer, Buffer, Buffer], object]:
    """A function of the C file, on matrices of the product's sizes."""
    run, room = library[name], numbers(pages(product.k, product.n))
    sizes = [ctypes.c_int64(size) for size in (product.m, product.k, product.n)]
    run.restype = None
    return lambda a, b, c: run(numbers(a), numbers(b), numbers(c), *sizes, room)


def numbers(x: Buffer) -> ctypes.Array[ctypes.c_float]:
    """The same memory, as C takes it."""
    return (ctypes.c_float * (x.nbytes // 4)).from_buffer(flat(x))


def kernel(op: str, level: str, product: Product) -> Call:
    """The pack's own, as a plan calls it."""
    kernels, buffers = level_kernels(level), [product.c, product.a, product.weight]
    shapes = {name: (x.shape, "f") for name, x in zip(("out", "x", "weight"), buffers)}
    call = Call(op, {**shapes, "bias": None}, {}, team_of(1))
    room = pages(call.workspace(kernels[f"{op}.forward workspace"]) // 4)
    return call.bind(kernels[f"{op}.forward"], [*buffers, None], room)


def reference(product: Product) -> Callable[[], None]:
    """The op in pure Python, on the first rows."""
    c, a = (flat(x)[: ROWS * x.shape[1]].cast("B").cast("f", (ROWS, x.shape[1])) for x in (product.c, product.a))
    return partial(ops.linear.forward, c, a, product.weight, None)


def steps_of(product: Product, library: ctypes.CDLL) -> list[Step]:
    """All that can be done here, in the order of the page."""
    m, matrices = product.m, (product.a, product.b, product.c)
    here = levels_here()
    steps = [Step(0, "pure Python", ROWS, reference(product))]
    for i, name in enumerate(FUNCTIONS, 1):
        steps.append(Step(i, name, m, partial(function(library, name, product), *matrices)))
    steps += [Step(7, f"linear, {level}", m, kernel("linear", level, product)) for level in here if level not in PAIRED]
    for level, number in PAIRED.items():
        if level in here:
            steps.append(Step(number, f"linear_bfloat16, {level}", m, kernel("linear_bfloat16", level, product)))
    return steps


def check(steps: Sequence[Step], product: Product, three_loops: Callable[[Buffer, Buffer, Buffer], object]) -> None:
    """Make every step. Raises WrongStep where a number isn't what the three loops make it."""
    true, sizes = pages(product.m, product.n), pages(product.m, product.n)
    three_loops(product.a, product.b, true)
    three_loops(magnitudes(product.a), magnitudes(product.b), sizes)  # the sums of |a||b|
    for step in steps:
        fill(product.c, [nan] * (product.m * product.n))
        step.run()
        made = zip(flat(product.c)[: step.rows * product.n], flat(true), flat(sizes))
        for i, (mine, other, size) in enumerate(made):
            if not abs(mine - other) <= TOLERANCE * size:
                place = f"C[{i // product.n}][{i % product.n}]"
                raise WrongStep(f"step {step.number}, {step.name}: {place} is {mine}, by the three loops {other}")


def magnitudes(x: Buffer) -> Buffer:
    found = pages(*x.shape)
    fill(found, [abs(number) for number in flat(x)])
    return found


def rate(run: Callable[[], object], flops: float) -> float:
    """The operations of a second, in billions; a second of this thread, whatever else its core does."""
    start, done = thread_time(), 0.0
    while True:
        run()
        done += flops
        elapsed = thread_time() - start
        if elapsed >= LEAST:
            return done / elapsed / 1e9


def measure(product: Product, rounds: int, library: ctypes.CDLL) -> dict[str, Any]:
    """The medians of all steps on one product, and their shares of the float32 peak of the same round."""
    steps = steps_of(product, library)
    check(steps, product, function(library, FUNCTIONS[0], product))
    peaks = {precision: runs[0] for precision, runs in MicroKernels(1).computing.items()}
    at_best: list[dict[str, float]] = []
    made: list[list[float]] = []
    for _ in range(rounds):
        at_best.append({precision: rate(peak, peak.flops) for precision, peak in peaks.items()})
        made.append([rate(step.run, 2 * step.rows * product.k * product.n) for step in steps])
    shares = [[one / peak["float32"] for one in each] for each, peak in zip(made, at_best)]
    return {
        "size": [product.m, product.k, product.n],
        "peak_gflops": {precision: median(peak[precision] for peak in at_best) for precision in peaks},
        "steps": [
            {"step": step.number, "name": step.name, "gflops": median(all_), "of_peak": median(of_peak)}
            for step, all_, of_peak in zip(steps, zip(*made), zip(*shares))
        ],
    }


def pinned() -> bool:
    """Whether this process now stays on one core."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return True


def size_of(text: str) -> tuple[int, ...]:
    """`384x384x1536`, for tiles that come out even."""
    size = tuple(int(part) if part.isdecimal() else 0 for part in text.split("x"))
    if len(size) != 3 or not all(n and n % multiple == 0 for n, multiple in zip(size, MULTIPLES)):
        m, _, n = MULTIPLES
        raise argparse.ArgumentTypeError(
            f"{text!r}; allowed: m x k x n, m a multiple of {m}, n a multiple of {n}, as in 384x384x1536"
        )
    return size


def show(found: Sequence[dict[str, Any]]) -> None:
    print(f"{'':34}", *(f"{'x'.join(map(str, one['size'])):>18}" for one in found))
    for precision in found[0]["peak_gflops"]:
        print(
            f"{'   the peak in ' + precision:34}", *(f"{one['peak_gflops'][precision]:>10.2f}{'':8}" for one in found)
        )
    for lines in zip(*(one["steps"] for one in found)):
        title = f"{lines[0]['step']}  {lines[0]['name']}"
        print(f"{title:34}", *(f"{line['gflops']:>10.2f} {line['of_peak']:>7.2%}" for line in lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", type=size_of, nargs="+", metavar="MxKxN", default=SIZES, help="default: one of char, one of gpt2"
    )
    parser.add_argument("--rounds", type=int, default=9, help="how often each step is timed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    machine = {"cpu": cpu()[0], "python": platform.python_version(), "pinned": pinned()}
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows keeps what is loaded
        library = compiled(SOURCE, Path(folder))
        try:
            found = [measure(Product(*size), given.rounds, library) for size in given.size]
        except WrongStep as error:
            sys.exit(f"product_steps.py: {error}")
    if given.json:
        print(json.dumps({**machine, "sizes": found}, indent=2))
        return
    thread = "one pinned thread" if machine["pinned"] else "one thread, not pinned"
    print(f"{machine['cpu']}, {thread}, {given.rounds} rounds: GFLOP/s, and the share of the float32 peak")
    show(found)


if __name__ == "__main__":
    main()
