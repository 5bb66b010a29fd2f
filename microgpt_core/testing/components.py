"""The checks of one component of a pack: what every kind promises, then what its own does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import partial
from typing import Any, NoReturn

from microgpt_core.components import Backend, Op, Peer
from microgpt_core.errors import UnknownNameError
from microgpt_core.plugins.kinds import KINDS
from microgpt_core.plugins.pack import Pack, PluginError
from microgpt_core.plugins.registry import Registry, first_line
from microgpt_core.testing.analyzers import analyzer_checks
from microgpt_core.testing.datasets import dataset_checks
from microgpt_core.testing.ops import kernel_checks, op_checks, require_available
from microgpt_core.testing.optimizers import optimizer_checks
from microgpt_core.testing.passes import pass_checks
from microgpt_core.testing.peers import peer_checks
from microgpt_core.testing.report import Check, NotTested, checks
from microgpt_core.testing.schedules import schedule_checks
from microgpt_core.testing.tokenizers import tokenizer_checks
from microgpt_core.testing.transforms import transform_checks

SIMPLE: Mapping[str, Callable[[Any, str], list[Check]]] = {
    "tokenizers": tokenizer_checks,
    "datasets": dataset_checks,
    "transforms": transform_checks,
    "schedules": schedule_checks,
    "analyzers": analyzer_checks,
    "passes": pass_checks,
    "peers": peer_checks,
}
NAMED = ("ops", "backends", "optimizers", "models", *SIMPLE)  # kinds whose classes know their own name


@dataclass(frozen=True)
class Entry:
    """A component as a pack registered it."""

    kind: str
    name: str
    component: Any


def component_checks(pack: Pack, registry: Registry, kind: str, name: str) -> list[Check]:
    """The checks of a component. It is imported and made for them; where it can't be, that is what fails.

    A kernel is let alone where its backend isn't here: what that needs, its own module may need, too.
    """
    label, found = f"{KINDS[kind].one} {name}", list[Check]()
    try:
        backend = backend_of(registry, name) if kind == "kernels" else None
        component = registry.get(kind, f"{pack.name}/{name}")
        found += checks(label, RULES, lambda: Entry(kind, name, component))
        if backend is not None:
            found += kernel_checks(component(), op_of(registry, name), backend, label)
        else:
            found += own_checks(registry, kind, component, label)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's class raises
        found.append(Check(label, "can_be_made", partial(fail, error)))
    return found


def fail(error: BaseException) -> NoReturn:
    raise error


def own_checks(registry: Registry, kind: str, component: Any, label: str) -> list[Check]:
    if kind == "ops":
        return op_checks(instance(component), label)
    if kind == "backends":
        return checks(label, [says_whether_it_can_run], component)
    found = checks(label, [says_whether_it_can_run], component) if kind == "peers" else []
    for settings in settings_of(component) if kind in (*SIMPLE, "optimizers") else ():
        told = label + "".join(f" {n}={v!r}" for n, v in settings.items())
        if kind == "optimizers":
            made = component(**settings)
            ops = {name: instance(registry.get("ops", name)) for name in made.updates}
            found += optimizer_checks(made, ops, component=told)
        else:
            found += SIMPLE[kind](component(**settings), told)
    return found


def backend_of(registry: Registry, kernel: str) -> Backend:
    """A kernel's backend, perhaps another pack's. Raises NotTested where it isn't here, is broken or can't run."""
    try:
        made: Backend = registry.get("backends", kernel.partition("/")[0])()
    except (UnknownNameError, PluginError) as error:
        raise NotTested(str(error)) from error
    require_available(made)
    return made


def op_of(registry: Registry, kernel: str) -> Op:
    """A kernel's op, perhaps another pack's. Raises NotTested where it isn't here."""
    try:
        return instance(registry.get("ops", kernel.partition("/")[2]))
    except UnknownNameError as error:
        raise NotTested(str(error)) from error


def instance(op: Any) -> Op:
    made: Op = op if isinstance(op, Op) else op()
    return made


def settings_of(cls: Any) -> Sequence[Mapping[str, Any]]:
    """What to make a component with: what its class has as `examples`, or nothing. Raises NotTested."""
    required = [
        f.name
        for f in (fields(cls) if is_dataclass(cls) else ())
        if f.init and f.default is MISSING and f.default_factory is MISSING
    ]
    examples: Sequence[Mapping[str, Any]] = getattr(cls, "examples", ({},))
    if missing := [name for name in required if any(name not in settings for settings in examples)]:
        example = ", ".join(f"{name!r}: ..." for name in missing)
        raise NotTested(f"it needs {' and '.join(missing)}; say what to try in the class: examples = [{{{example}}}]")
    return examples


def has_its_name(entry: Entry) -> Iterator[str]:
    """A class has the name that it is registered under: saved models and messages say it."""
    attribute = "use" if entry.kind == "models" else "name"
    own = getattr(entry.component, attribute, None)
    if entry.kind in NAMED and own != entry.name:
        yield f"its own name is {own!r}; write: {attribute} = {entry.name!r}"


def is_described(entry: Entry) -> Iterator[str]:
    """There is a docstring, of the class or of its module: `microgpt show` prints its first line."""
    if not first_line(entry.component):
        yield "neither the class nor its module has a docstring; say in one line what it is"


def says_whether_it_can_run(backend: Backend | Peer) -> Iterator[str]:
    """`unavailable` gives None or a reason: `backend: auto` takes anything else for a reason."""
    if not (isinstance(said := backend.unavailable(), str | None) and said != ""):
        yield f"unavailable() returns {said!r}; expected None where it can run, or the reason why it can't"


RULES = (has_its_name, is_described)
