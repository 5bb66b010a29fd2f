"""The pack's kernels, as a pipeline with `backend: numpy` has them."""

from importlib import import_module
from typing import Any

import pytest

from microgpt_core.components import Kernel
from microgpt_core.engine.backends import Kernels
from microgpt_numpy.backend import Numpy
from microgpt_numpy.plugin import microgpt_kernels


def made(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)()


@pytest.fixture(scope="session")
def table() -> dict[str, Kernel]:
    """`numpy/linear` and its kernel, for every op."""
    return {name: made(place) for name, place in microgpt_kernels().items()}


@pytest.fixture(scope="session")
def kernels(table: dict[str, Kernel]) -> Kernels:
    return Kernels([Numpy()], table)
