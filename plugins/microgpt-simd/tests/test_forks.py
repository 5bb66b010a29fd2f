"""Threads and processes: however a child begins, it computes, ends, and has the parent's bits."""

import multiprocessing
import sys
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.context import use_kernels
from microgpt_core.engine.tensor import tensor
from microgpt_simd.backend import Simd
from microgpt_simd.native import Team
from microgpt_simd.ops import Linear

METHODS = [m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()]


def product() -> list[list[float]]:
    """Large enough to be shared."""
    rows = [[((i * 31 + j * 17) % 97) / 97 - 0.5 for j in range(80)] for i in range(120)]
    with use_kernels(Kernels([Simd()], {"simd/linear": Linear()})):
        found: Any = ops.linear(tensor(rows), tensor(rows)).tolist()
    return found


def child(path: list[str], queue: Any) -> None:
    sys.path[:] = path
    queue.put(product())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_child_computes_the_same(method: str, n: int, threads: Any) -> None:
    threads(n)
    here = product()  # the parent's team is at work before the fork
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=child, args=(sys.path, queue))
    process.start()
    there = queue.get(timeout=60)
    process.join(timeout=60)
    assert process.exitcode == 0
    assert there == here == product()


def test_teams_come_and_go(threads: Any) -> None:
    """Many teams at once, each with its own workers; ended ones leave nothing behind that hangs."""
    for _ in range(50):
        teams = [Team(n) for n in (1, 2, 3, 8)]
        assert [team.threads for team in teams] == [1, 2, 3, 8]
