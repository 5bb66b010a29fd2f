"""The roofline's micro-kernels do what they count: every operation is made, every byte is moved."""

from functools import reduce
from operator import xor
from random import Random

import pytest

from microgpt_core.components import Buffer, new_buffer
from microgpt_core.errors import ShapeError
from microgpt_simd.backend import Simd
from microgpt_simd.levels import chosen_level, level_kernels
from microgpt_simd.native import cpu_features, span
from microgpt_simd.roofs import COMPUTING, STREAMS, STRIDE, Computing, Pass, Peak

PARTS = {kernel: parts for kernels, parts in STREAMS.values() for kernel in kernels}
WRITERS = [kernel for kernel in PARTS if kernel != "roof.read"]
SIZE = 6 * STRIDE + 40  # numbers; what is over a stride is left alone


def here(kernel: str) -> bool:
    needs = next((one.needs for one in COMPUTING if one.kernel == kernel), frozenset())
    return kernel in level_kernels(chosen_level()) and needs <= cpu_features()


@pytest.mark.parametrize("what", COMPUTING, ids=lambda what: what.precision)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_operations_that_are_counted_are_made(what: Computing, threads: int, level: str) -> None:
    """A round multiplies each sum by 1 and adds 1 (a pair: adds 1 twice), so sums count the rounds."""
    if not here(what.kernel):
        pytest.skip(f"{level} here has no {what.kernel}")
    peak = Peak(what, threads, rounds=37)
    per_round = what.flops // 2  # additions to a number, each with a product
    for run in (1, 2):
        assert peak() == 2 * 37 * per_round * len(peak.sums)
        assert set(peak.sums) == {float(37 * per_round * run)}
    assert len(peak.sums) % threads == 0


def test_planted_a_round_too_few_is_seen(level: str) -> None:
    peak = Peak(COMPUTING[0], 1, rounds=36)
    peak()
    assert set(peak.sums) != {37.0}


def memory(seed: int = 1) -> Buffer:
    """Random numbers at the beginning of a page, as the roofline has its buffers."""
    rng, found = Random(seed), aligned(SIZE)
    for i in range(SIZE):
        found[i] = rng.uniform(-4, 4)
    return found


def aligned(numbers: int) -> Buffer:
    room = new_buffer((numbers + 16,))
    start = -span(room)[0] % 64 // 4
    return room[start : start + numbers]


@pytest.mark.parametrize("kernel", PARTS)
def test_a_stream_counts_the_bytes_of_whole_strides(kernel: str, level: str) -> None:
    parts = PARTS[kernel]
    each = SIZE // parts // STRIDE * STRIDE
    assert Pass(kernel, parts, memory(), 5)() == 5 * 4 * parts * each


@pytest.mark.parametrize("kernel", WRITERS)
def test_what_a_stream_writes(kernel: str, level: str) -> None:
    found, before = memory(), memory().tolist()
    parts = PARTS[kernel]
    each = SIZE // parts // STRIDE * STRIDE
    Pass(kernel, parts, found, 2)()
    x, y = before[each : 2 * each], before[2 * each : 3 * each]
    expected = {1: [0.0] * each, 2: x, 3: [a + 3 * b for a, b in zip(x, y)] if parts == 3 else []}[parts]
    assert found[:each].tolist() == pytest.approx(expected, abs=1e-5)
    assert found[each:].tolist() == before[each:]


def test_a_read_reads_every_number(level: str) -> None:
    run = Pass("roof.read", 1, memory(), 1)
    run()
    gathered, read = (reduce(xor, x.cast("B").cast("i")) for x in (run.out, run.x))
    assert gathered == read != 0


def test_a_buffer_without_a_stride_for_each_part_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"roof.triad: the buffer has 1532 bytes, expected at least 1536"):
        Pass("roof.triad", 3, aligned(3 * STRIDE - 1), 1)


def test_a_buffer_that_begins_elsewhere_is_refused_by_the_kernel(level: str) -> None:
    for kernel, parts in PARTS.items():
        with pytest.raises(RuntimeError, match=f"{kernel}: the native kernel failed"):
            Pass(kernel, parts, memory()[1:], 1)()


def test_the_backend_brings_them(level: str) -> None:
    found = Simd().microkernels(2)
    assert found.name.endswith(f"with {level}")
    assert "float32" in found.computing
    assert ("bfloat16" in found.computing) == here("roof.pairs")
    assert set(found.streams) == {"read", "write", "copy", "triad"}
    assert all(make(memory(), 1)() > 0 for ways in found.streams.values() for make in ways)
