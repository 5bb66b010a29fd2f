"""The registry: which names there are, who brought them, and the classes behind them.

A name is short (`bpe`) or qualified by its pack (`tokenizers/bpe`), and may be pinned (`bpe@1`). A class is imported
when it is first asked for.
"""

import logging
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from microgpt_core.components import Op
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.plugins.fields import Field, fields_of
from microgpt_core.plugins.hints import hint
from microgpt_core.plugins.isolation import captured
from microgpt_core.plugins.kinds import KINDS, kind_named
from microgpt_core.plugins.pack import CORE, Pack, PluginError, cause

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Description:
    """What there is to say about one component."""

    kind: str
    name: str
    pack: str
    distribution: str
    version: str
    doc: str
    fields: list[Field]


class Registry:
    """The components of all packs that were added to it, by kind and name."""

    def __init__(self) -> None:
        self.packs: list[Pack] = []  # also those that are disabled or failed
        self.allows_code = False  # whether a pipeline may name Python files to run
        self._found: dict[str, dict[str, dict[str, Pack]]] = {kind: {} for kind in KINDS}  # kind -> name -> pack name
        self._imported: dict[tuple[str, str, str], Any] = {}

    def add(self, pack: Pack) -> None:
        """Take in all of a pack's names, or none: raises PluginError where one is taken."""
        if self.packs and pack.name == CORE:
            raise PluginError(f"a pack can't be called {CORE!r}, as the core's own is")
        for kind, components in pack.components.items():
            for name in components:
                check_free(pack, kind, name, self._found[kind].get(name, {}))
        for kind, components in pack.components.items():
            for name in components:
                self._found[kind].setdefault(name, {})[pack.name] = pack
        self.packs.append(pack)

    def leave_out(self, pack: Pack, state: Literal["disabled", "incompatible", "failed"], why: BaseException) -> None:
        """List a pack without its components."""
        pack.state, pack.components, pack.error = state, {}, why
        self.packs.append(pack)

    def names(self, kind: str) -> list[str]:
        """What `get` knows, sorted: short names, qualified where several packs have the same."""
        return sorted(
            name if len(packs) == 1 else f"{pack}/{name}"
            for name, packs in self._found[kind_named(kind).name].items()
            for pack in packs
        )

    def get(self, kind: str, name: str) -> Any:
        """The class (for an op perhaps an instance, for a stage a function) behind a name.

        Raises UnknownNameError; ConfigurationError where several packs have the name; PluginError where the
        pack that has it can't be imported.
        """
        pack, short = self.find(kind, name)
        kind = kind_named(kind).name
        key = (kind, pack.name, short)
        if key not in self._imported:
            self._imported[key] = imported(pack, kind, short)
        return self._imported[key]

    @property
    def used(self) -> list[Pack]:
        """The packs that something has been got from."""
        names = {pack for _, pack, _ in self._imported}
        return [pack for pack in self.packs if pack.name in names]

    def find(self, kind: str, name: str) -> tuple[Pack, str]:
        """The pack that brings a component, and the component's short name. Raises as `get`, but imports nothing."""
        one, known = kind_named(kind).one, self._found[kind_named(kind).name]
        plain, at, pin = name.partition("@")
        packs, prefix, short = known.get(plain, {}), *plain.partition("/")[::2]
        if len(packs) > 1:
            raise ConfigurationError(contested(one, plain, packs))
        if packs:
            (pack,), short = packs.values(), plain
        elif prefix in known.get(short, {}):
            pack = known[short][prefix]
        else:
            why = [p.failure for p in self.packs if p.name == prefix and p.failure]  # the pack that was named
            why += [hint(kind_named(kind).name, plain, self.packs)]
            raise UnknownNameError(one, plain, self.names(kind), why[0])
        if at:
            check_pin(pack, f"{one} {name!r}", plain, pin)
        return pack, short

    def full_name(self, kind: str, name: str) -> str:
        """The name that stays right whatever else is installed: short for the core's, else qualified. A pin stays."""
        pack, short = self.find(kind, name)
        pin = "".join(name.partition("@")[1:])
        return short + pin if pack.name == CORE else f"{pack.name}/{short}{pin}"

    def describe(self, kind: str, name: str) -> Description:
        """Where a component comes from, what it is and what can be set. Imports it; raises as `get`."""
        pack, short = self.find(kind, name)
        component = self.get(kind, name)
        return Description(
            kind_named(kind).name,
            short,
            pack.name,
            pack.distribution,
            pack.version,
            first_line(component),
            fields_of(component),
        )


def contested(one: str, name: str, packs: dict[str, Pack]) -> str:
    """What to say of a short name that several packs have: where they are, and the two ways to choose."""
    places = {pack: ", ".join(filter(None, (p.origin, p.file))) for pack, p in sorted(packs.items())}
    choices = ", ".join(f"{pack}/{name} ({place})" for pack, place in places.items())
    where = f", as `kernels: {{{name.partition('/')[2]}: {min(places)}/{name}}}`" if one == "kernel" else ""
    installed = [pack for pack in places if packs[pack].version]  # the others are files that were named
    leave_out = f"; or leave one out: --no-plugin {installed[-1]}" if installed else ""
    return f"{one} {name!r} is brought by several packs; write which{where}: {choices}{leave_out}"


def check_pin(pack: Pack, what: str, name: str, pin: str) -> None:
    """Raise ConfigurationError unless a pack's version begins with the number after the @.

    That number is the first of its distribution's version, which is the one that changes when what a component
    computes does.
    """
    if not pin.isdigit():
        raise ConfigurationError(f"{what}: expected the first number of a version after the @, found {pin!r}")
    if not pack.version:
        raise ConfigurationError(f"{what}: {pack.origin} is a file and has no version; write {name!r}")
    if (first := pack.version.partition(".")[0]) != pin:
        wanted = f'microgpt plugins install "{pack.distribution}=={pin}.*"'
        raise ConfigurationError(f"{what}: {pack.origin} is installed; write '{name}@{first}', or: {wanted}")


def check_free(pack: Pack, kind: str, name: str, others: dict[str, Pack]) -> None:
    """Raise PluginError where a pack takes a name of the core, or another pack has its name and the component's."""
    one = KINDS[kind].one
    if other := others.get(pack.name):
        places = " and ".join(f"{p.origin} ({p.file or 'no file'})" for p in (other, pack))
        raise PluginError(f"{one} {pack.name}/{name} comes twice, from {places}")
    if CORE in others:
        raise PluginError(f"{one} {name!r} is the core's; {pack.origin} must call its own something else")


def imported(pack: Pack, kind: str, name: str) -> Any:
    """The object behind a pack's entry. Raises PluginError naming the pack."""
    target = pack.components[kind][name]
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    what = f"{KINDS[kind].one} {name!r} of {pack.origin}"
    try:
        with captured() as said:
            found = getattr(import_module(module), attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's module raises
        raise PluginError(f"{what}: {target}: {cause(error)}; {pack.fix}") from error
    for line in said:
        log.warning("%s printed while it was imported: %s", what, line)
    if wrong := KINDS[kind].mismatch(found):
        raise PluginError(f"{what}: {target}: {wrong}; {pack.fix}")
    return found


def first_line(component: Any) -> str:
    """A component's docstring in one line; an op without one has its module's."""
    cls = type(component) if isinstance(component, Op) else component
    doc = cls.__doc__ or ""
    if not doc or doc.startswith(f"{cls.__name__}("):  # what `dataclass` makes up
        doc = import_module(cls.__module__).__doc__ or ""
    return doc.strip().partition("\n")[0]
