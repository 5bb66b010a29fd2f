"""Which kernels a run uses: the pipeline's `backend:` and `kernels:`, looked up among what is installed."""

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
        backends = made(registry, [*wanted, *pipeline.kernels.values()])
        for backend in backends:
            if reason := backend.unavailable():
                raise ConfigurationError(f"backend {backend.name!r} can't run on this machine: {reason}")
    names = {backend.name for backend in backends}
    table = {k: registry.get("kernels", k)() for k in registry.names("kernels") if k.split("/")[0] in names}
    return Kernels(backends, table, pipeline.kernels)


def made(registry: Registry, names: list[str]) -> list[Backend]:
    return [registry.get("backends", name)() for name in dict.fromkeys(names)]
