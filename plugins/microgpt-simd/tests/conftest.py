"""The pack's kernels, as a pipeline with `backend: simd` has them, at each level that this processor has."""

from collections.abc import Callable
from importlib import import_module

import pytest

from microgpt_core.engine.backends import Kernels
from microgpt_simd.backend import Simd
from microgpt_simd.levels import FORCED, levels_here
from microgpt_simd.plugin import microgpt_kernels
from microgpt_simd.threads import ASKED


@pytest.fixture(params=levels_here())
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each level in turn."""
    monkeypatch.setenv(FORCED, request.param)
    return str(request.param)


@pytest.fixture
def kernels() -> Kernels:
    """`simd/linear` and its kernel, for every op."""
    table = {}
    for name, place in microgpt_kernels().items():
        module, kernel = place.split(":")
        table[name] = getattr(import_module(module), kernel)()
    return Kernels([Simd()], table)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that sets how many threads the next calls have."""
    return lambda n: monkeypatch.setenv(ASKED, str(n))
