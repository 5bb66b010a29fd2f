"""Which kernels a run uses: the pipeline's `backend:`, `kernels:` and `passes:`, looked up among what is installed."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from microgpt_core.components import Backend, Kernel, Op, Pass
from microgpt_core.engine.backends import Kernels
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.reading.settings import Pipeline
from microgpt_core.pipeline.reading.top_level import is_kernel
from microgpt_core.plugins.registry import Registry

BFLOAT16 = "bfloat16"  # a precision, and the pass that makes it


class Installed(Mapping[str, Kernel]):
    """The kernels that there are, by `backend/op`, each made when a call first asks for it.

    One that several packs bring is then an error: where no call asks for it, nobody has to choose.
    """

    def __init__(self, registry: Registry, chosen: Mapping[str, str]) -> None:
        keys = ("/".join(name.split("/")[-2:]) for name in registry.names("kernels"))
        self._names = {key: chosen.get(key, key) for key in keys}
        self._registry, self._made = registry, dict[str, Kernel]()

    def __getitem__(self, key: str) -> Kernel:
        if key not in self._made:
            self._made[key] = self._registry.get("kernels", self._names[key])()
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def find_kernels(pipeline: Pipeline, registry: Registry) -> Kernels:
    """The backends in the order to ask them. Raises ConfigurationError for one that was named and can't run here."""
    wanted = [pipeline.backend] if isinstance(pipeline.backend, str) else list(pipeline.backend)
    if wanted == ["auto"]:
        backends = [b for b in made(registry, "backends", registry.names("backends")) if b.unavailable() is None]
        backends.sort(key=lambda b: -b.priority)
    else:
        backends = able(made(registry, "backends", wanted))
    chosen, asked = dict[str, str](), dict[str, str]()
    for op, name in pipeline.kernels.items():
        if is_kernel(name):
            key = registry.find("kernels", name)[1]
            chosen[key], name = name, key.partition("/")[0]
        asked[registry.find("ops", op)[1]] = name
    forced = dict(zip(asked, able(made(registry, "backends", asked.values()))))
    table = Installed(registry, chosen)
    passes = wanted_passes(pipeline, registry, backends[:1], forced)
    return Kernels(backends, table, {op: b.name for op, b in forced.items()}, list(forced.values()), passes)


def wanted_passes(
    pipeline: Pipeline, registry: Registry, first: Iterable[Backend], forced: Collection[str]
) -> list[Pass]:
    """The passes that the pipeline names, or those of the backend that is asked first.

    Of these, none that would take calls away from an op that the pipeline gives to somebody. The precision of products
    comes last, when what is fused has been.
    """
    if pipeline.passes == "auto":
        own = made(registry, "passes", (name for backend in first for name in backend.passes))
        passes = [each for each in own if not any(op in forced for op in each.fuses)]
    else:
        named = [pipeline.passes] if isinstance(pipeline.passes, str) else pipeline.passes
        passes = made(registry, "passes", named)
    if pipeline.precision == BFLOAT16 and BFLOAT16 not in [each.name for each in passes]:
        passes += made(registry, "passes", [BFLOAT16])
    return passes


def made(registry: Registry, kind: str, names: Iterable[str]) -> list[Any]:
    return [registry.get(kind, name)() for name in names]


def able(backends: list[Backend]) -> list[Backend]:
    """The same backends. Raises ConfigurationError where one of them can't run here."""
    for backend in backends:
        if reason := backend.unavailable():
            raise ConfigurationError(f"backend {backend.name!r} can't run on this machine: {reason}")
    return backends


def update_ops(pipeline: Pipeline, registry: Registry) -> dict[str, Op]:
    """The ops that the optimizer names: the core's, and those that packs brought."""
    found = {name: registry.get("ops", name) for name in pipeline.optimizer.build().updates}
    return {name: op if isinstance(op, Op) else op() for name, op in found.items()}
