"""A product large enough to be shared, for a process that is begun in any way: `queue` is where its numbers go."""

from typing import Any

from microgpt_core import ops
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.context import use_kernels
from microgpt_core.engine.tensor import tensor
from microgpt_simd.backend import Simd
from microgpt_simd.ops import Linear


def product() -> list[list[float]]:
    rows = [[((i * 31 + j * 17) % 97) / 97 - 0.5 for j in range(80)] for i in range(120)]
    with use_kernels(Kernels([Simd()], {"simd/linear": Linear()})):
        found: Any = ops.linear(tensor(rows), tensor(rows)).tolist()
    return found


if "queue" in globals():
    queue: Any = globals()["queue"]
    queue.put(product())
