"""Backends and their kernels, found among the packs that are installed."""

from collections.abc import Sequence

from microgpt_core.components import Backend
from microgpt_core.engine.backends import Kernels
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.runs.backends import find_kernels
from microgpt_core.plugins.loader import load


def kernels_of(backend: str, precision: str = "float32") -> Kernels:
    """What `backend:` and `precision:` in a pipeline would choose, passes among it.

    Raises ConfigurationError where the backend isn't here, or can't run.
    """
    registry = load(builtin)
    return find_kernels(read_pipeline("names", registry, {"backend": backend, "precision": precision}), registry)


def usable_backends() -> Sequence[Backend]:
    """Those that can run here, the fastest first."""
    return kernels_of("auto").backends
