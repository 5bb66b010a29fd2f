"""One pack's hooks: found, checked and called on a pluggy manager of their own, so that no pack touches another."""

import re
import warnings
from collections.abc import Mapping, Sequence
from time import perf_counter
from types import FunctionType
from typing import Any, TextIO

import pluggy

from microgpt_core import hookspecs
from microgpt_core.errors import nearest
from microgpt_core.plugins.kinds import KINDS, Kind
from microgpt_core.plugins.pack import PluginError

HOOKS = {f"microgpt_{kind}": kind for kind in KINDS}
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def declared(plugin: Any) -> pluggy.PluginManager:
    """A manager that knows this one plugin. Raises PluginError for hooks that nothing would ever call."""
    for name, value in vars(plugin).items():
        if name in HOOKS and isinstance(value, FunctionType) and not hasattr(value, f"{hookspecs.PROJECT}_impl"):
            raise PluginError(f"{name} isn't marked: write @hookimpl (from microgpt_core.hookspecs) above it")
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    with warnings.catch_warnings():  # of hooks that will go: Python shows it to hardly anybody, the loader to everybody
        warnings.simplefilter("ignore", DeprecationWarning)
        manager.register(plugin)
    for caller in manager.get_hookcallers(plugin) or []:
        if not caller.has_spec():
            raise PluginError(
                f"there is no hook {caller.name!r}{nearest(caller.name, HOOKS)}; known: {', '.join(HOOKS)}"
            )
    manager.check_pending()
    return manager


def deprecated(manager: pluggy.PluginManager) -> list[str]:
    """The hooks of the manager's plugin that will go, each with what its `hookspec(warn_on_impl=...)` says to do."""
    callers = [caller for plugin in manager.get_plugins() for caller in manager.get_hookcallers(plugin) or ()]
    return [f"{c.name}: {c.spec.warn_on_impl}" for c in callers if c.spec and c.spec.warn_on_impl]


def trace(manager: pluggy.PluginManager, pack: str, file: TextIO) -> None:
    """From now on, print each call of a hook that the pack has: what it returned or raised, and its time."""
    start = 0.0

    def before(hook: str, implementations: Sequence[Any], arguments: Mapping[str, Any]) -> None:
        nonlocal start
        start = perf_counter()

    def after(
        outcome: pluggy.Result[Any], hook: str, implementations: Sequence[Any], arguments: Mapping[str, Any]
    ) -> None:
        if implementations:
            said = outcome.exception or outcome.get_result()
            print(f"{pack}: {hook}() -> {said!r}: {1e3 * (perf_counter() - start):.2f} ms", file=file)

    manager.add_hookcall_monitoring(before, after)


def answers(manager: pluggy.PluginManager) -> dict[str, list[Any]]:
    """What each hook returned, by kind."""
    return {kind: getattr(manager.hook, hook)() for hook, kind in HOOKS.items()}


def checked(answers: Mapping[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """The components of the answers. Raises PluginError for the first that is no name or no component."""
    components: dict[str, dict[str, Any]] = {}
    for kind, returned in answers.items():
        for answer in returned:
            if not isinstance(answer, Mapping):
                raise PluginError(f"microgpt_{kind} returned {answer!r}; expected a mapping of names to classes")
            for name, target in answer.items():
                check_component(KINDS[kind], name, target)
                components.setdefault(kind, {})[name] = target
    return components


def check_component(kind: Kind, name: Any, target: Any) -> None:
    """Raise PluginError unless a hook may return `name: target`."""
    parts = name.split("/") if isinstance(name, str) else [""]
    if len(parts) != (2 if kind.name == "kernels" else 1) or not all(map(NAME.fullmatch, parts)):
        form = "`backend/op`" if kind.name == "kernels" else "lower-case letters, digits, - _ ."
        raise PluginError(f"microgpt_{kind.name} returned the name {name!r}; expected {form}")
    if isinstance(target, str):
        wrong = None if TARGET.fullmatch(target) else f"expected a class or 'module:Class', found {target!r}"
    else:
        wrong = kind.mismatch(target)
    if wrong:
        raise PluginError(f"microgpt_{kind.name} returned for {name!r}: {wrong}")
