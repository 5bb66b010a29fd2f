"""Which kernels a run uses: the pipeline's `backend:` and `kernels:`, looked up among what is installed."""

from collections.abc import Iterable

from microgpt_core.components import Backend
from microgpt_core.engine.backends import Kernels
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.settings import Pipeline
from microgpt_core.plugins.registry import Registry


def find_kernels(pipeline: Pipeline, registry: Registry) -> Kernels:
    """The backends in the order to ask them. Raises ConfigurationError for one that was named and can't run here."""
    wanted = [pipeline.backend] if isinstance(pipeline.backend, str) else list(pipeline.backend)
    if wanted == ["auto"]:
        backends = [b for b in made(registry, registry.names("backends")) if b.unavailable() is None]
        backends.sort(key=lambda b: -b.priority)
    else:
        backends = able(made(registry, wanted))
    forced = dict(zip(pipeline.kernels, able(made(registry, pipeline.kernels.values()))))
    names = {backend.name for backend in (*backends, *forced.values())}
    table = {k: registry.get("kernels", k)() for k in registry.names("kernels") if k.split("/")[0] in names}
    return Kernels(backends, table, {op: b.name for op, b in forced.items()}, list(forced.values()))


def made(registry: Registry, names: Iterable[str]) -> list[Backend]:
    return [registry.get("backends", name)() for name in names]


def able(backends: list[Backend]) -> list[Backend]:
    """The same backends. Raises ConfigurationError where one of them can't run here."""
    for backend in backends:
        if reason := backend.unavailable():
            raise ConfigurationError(f"backend {backend.name!r} can't run on this machine: {reason}")
    return backends
