"""One section of a pipeline, such as `model:`: which class it is for, what it gives it, and whether that works."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

from microgpt_core.components import Op, check_slot, fits_slot
from microgpt_core.errors import ConfigurationError, DoesNotFitError, UnknownNameError
from microgpt_core.models.model import Model
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.pipeline.reading.schema import shown, validate_all
from microgpt_core.pipeline.reading.settings import (
    COMPONENTS,
    PATHS,
    SECTIONS,
    SETTINGS,
    SHORT,
    SUPPLIED,
    Component,
    built,
)
from microgpt_core.pipeline.reading.sizes import too_large
from microgpt_core.pipeline.reading.yaml_reader import Document, Location
from microgpt_core.plugins.fields import Field, fields_of
from microgpt_core.plugins.kinds import held
from microgpt_core.plugins.registry import Registry


@dataclass
class Section:
    """One section as the document has it, with the class that it is for."""

    name: str
    path: Location
    given: dict[str, Any]
    use: str = ""
    preset: str | None = None
    cls: Any = None  # None where the name that the section uses is a problem
    fields: dict[str, Field] = field(default_factory=dict)  # of the class, less those that a run fills in
    inner: dict[str, list["Section"] | None] = field(default_factory=dict)  # fields that hold components; None: wrong

    @property
    def keys(self) -> list[str]:
        """All that may be given."""
        special = ["use", "preset"] if self.name == "model" else [] if self.name in SETTINGS else ["use"]
        return special + list(self.fields)

    def everything(self) -> Iterator["Section"]:
        """This section, and those inside it."""
        yield self
        for section in chain.from_iterable(filter(None, self.inner.values())):
            yield from section.everything()


def read_section(document: Document, registry: Registry, name: str, saved: Mapping[str, Any]) -> Section:
    """A section, its short form written out, its preset filled in. Problems are noted in the document.

    `saved` are the fields of the model that training begins with, if it does with one.
    """
    section = Section(name, (name,), long_form(document, (name,), document.data.get(name)))
    if name in SETTINGS:
        section.cls = SETTINGS[name]
        section.fields = {f.name: f for f in fields_of(section.cls)}
    else:
        fill_preset(document, section)
        if name == "model" and saved:
            check_saved(document, registry, section, saved)
            section.given = {**saved, **section.given}
        find_class(document, registry, section, *COMPONENTS[name])
    return section


def check_saved(document: Document, registry: Registry, section: Section, saved: Mapping[str, Any]) -> None:
    """Note what is given otherwise than the model has it that training begins with, and isn't `tunable`."""
    tunable = registry.get("models", saved["use"]).tunable
    for name in [name for name in saved if name in section.given and name not in tunable]:
        if section.given[name] != saved[name]:
            had = f"{shown(saved[name])}, as the model of init_from has it; leave it out"
            document.problem((*section.path, name), f"found {shown(section.given[name])}, allowed: {had}")
            del section.given[name]


def read_list(document: Document, registry: Registry, kind: str) -> list[Section]:
    """A section for each entry of a list such as `analyzers:`."""
    listed = document.data.get(kind)
    if not isinstance(listed, list | None):
        document.problem((kind,), f"expected a list of {kind}, found {shown(listed)}")
        return []
    sections = []
    for i, given in enumerate(listed or []):
        sections.append(Section(kind, (kind, i), long_form(document, (kind, i), given)))
        find_class(document, registry, sections[-1], kind)
        if kind != "transforms" and sections[-1].use in [section.use for section in sections[:-1]]:
            document.problem((kind, i), f"{sections[-1].use!r} comes twice; name each {kind.removesuffix('s')} once")
    return sections


def long_form(document: Document, path: Location, given: Any) -> dict[str, Any]:
    """A section as a mapping: `char` is short for `{use: char}`, and of formats there may be a list."""
    short = SHORT.get(str(path[0]), "")
    if isinstance(given, str) and short or isinstance(given, list) and short == "format":
        return {short: given}
    if not isinstance(given, dict | None):
        names = {"use": "a component's name, or ", "format": "a format's name, a list of them, or "}
        allowed = f"{names.get(short, '')}a mapping"
        document.problem(path, f"expected {allowed}, found {shown(given)}")
        return {}
    return dict(given or {})


def fill_preset(document: Document, section: Section) -> None:
    """`model: {preset: NAME}` gives what the section doesn't give itself."""
    preset = section.given.pop("preset", None) if section.name == "model" else None
    if isinstance(preset, str) and preset in PRESETS:
        section.given, section.preset = PRESETS[preset].fields | section.given, preset
    elif preset is not None:
        document.problem(("model", "preset"), str(UnknownNameError("preset", str(preset), PRESETS)))


def find_class(document: Document, registry: Registry, section: Section, kind: str, default: str | None = None) -> None:
    """The class behind `use`, or behind the section's default, and its fields."""
    use = section.given.pop("use", default)
    if not isinstance(use, str):
        document.problem((*section.path, "use"), f"expected a component's name, found {shown(use)}")
        return
    try:
        cls = registry.get(kind, use)
        if kind == "models" and not (isinstance(cls, type) and issubclass(cls, Model)):  # the registry can't know it
            pack = registry.find(kind, use)[0]
            what = f"model {use!r} of {pack.origin}: expected a subclass of Model, found {cls!r}"
            raise ConfigurationError(f"{what}; {pack.fix}")
        section.fields = {f.name: f for f in fields_of(cls) if f.name not in SUPPLIED.get(section.name, {})}
        section.cls, section.use = cls, registry.full_name(kind, use)
        read_inner(document, registry, section)
    except ConfigurationError as error:
        preset = f"{use!r} is a preset; write {{preset: {use}}}" if kind == "models" and use in PRESETS else ""
        document.problem((*section.path, "use"), preset or str(error))


def read_inner(document: Document, registry: Registry, section: Section) -> None:
    """The sections within a section, such as the `datasets` of a mix."""
    for name in [name for name in section.given if name in section.fields]:
        components, given, path = held(section.fields[name].type), section.given[name], (*section.path, name)
        if components is None or (components.optional and given is None):
            continue
        read = partial(read_component, document, registry, components.kind.name)
        if not components.several:
            section.inner[name] = [read(path, given)]
        elif isinstance(given, list):
            section.inner[name] = [read((*path, i), one) for i, one in enumerate(given)]
        else:
            document.problem(path, f"expected {components}, found {shown(given)}")
            section.inner[name] = None


def read_component(document: Document, registry: Registry, kind: str, path: Location, given: Any) -> Section:
    """The section of a component that another one holds: the same as at the top level, deeper in the document."""
    name = SECTIONS.get(kind, kind)
    section = Section(name, path, long_form(document, path, given))
    find_class(document, registry, section, kind, COMPONENTS[name][1] if name in COMPONENTS else None)
    return section


def finish(document: Document, registry: Registry, section: Section) -> Any:
    """The settings, or the Component, that a section is. Problems are noted in the document."""
    types = {name: f.type for name, f in section.fields.items() if name not in section.inner}
    inner = finish_inner(document, registry, section)
    values = validate_all(document, section.path, types, section.given) | inner
    lacking = [f"{f.name!r}" for f in section.fields.values() if f.required and f.name not in section.given]
    if lacking:
        is_key = isinstance(section.path[-1], str)  # an item of a list has none
        document.problem(section.path, f"{section.use!r} needs {', '.join(lacking)}", is_key)
    ops = find_ops(document, registry, section, values)
    whole = len(inner) == len(section.inner) and all(f.name in values for f in section.fields.values() if f.required)
    if section.cls is not None and whole:
        try_out(document, section, built(values) | ops)
    if section.name in SETTINGS:
        return None if document.problems else section.cls(**values)
    folder = document.where((*section.path, PATHS[section.name])).folder if section.name in PATHS else None
    return Component(section.name, section.use, section.cls, values, ops, section.preset, folder)


def finish_inner(document: Document, registry: Registry, section: Section) -> dict[str, Any]:
    """The Components that a section holds, by field; without the fields in which something is wrong."""
    found: dict[str, Any] = {}
    for name, sections in section.inner.items():
        before, known = len(document.problems), sections is not None and all(each.cls for each in sections)
        made = [finish(document, registry, each) for each in sections or []]
        if known and len(document.problems) == before:
            components = held(section.fields[name].type)
            found[name] = made if components and components.several else made[0]
    return found


def find_ops(document: Document, registry: Registry, section: Section, values: dict[str, Any]) -> dict[str, Op]:
    """The ops that a model's fields name, each fitting its slot. One that doesn't is noted, and leaves `values`."""
    found: dict[str, Op] = {}
    for name, slot in getattr(section.cls, "slots", {}).items():
        named = values.get(name, section.fields[name].default)
        if not isinstance(named, str):
            continue
        try:
            op = registry.get("ops", named)
            found[name] = op() if isinstance(op, type) else op
            check_slot(found[name], slot)
        except UnknownNameError:
            document.problem((*section.path, name), str(UnknownNameError(slot, named, fitting(registry, slot))))
            values.pop(name, None)
        except ConfigurationError as error:
            document.problem((*section.path, name), str(error))
            values.pop(name, None)
            found.pop(name, None)
    return found


def fitting(registry: Registry, slot: str) -> list[str]:
    """The names of the ops that fit a slot."""
    ops = {name: registry.get("ops", name) for name in registry.names("ops")}
    return [name for name, op in ops.items() if fits_slot(op() if isinstance(op, type) else op, slot)]


def try_out(document: Document, section: Section, values: dict[str, Any]) -> None:
    """Make the component, and note what it says against its fields.

    It says one thing at a time. The fields that it names are then left at their defaults, until it is content, or
    complains about one of these.
    """
    trial = dict(values)
    while True:
        try:
            section.cls(**trial, **SUPPLIED.get(section.name, {}))
            return
        except DoesNotFitError as error:
            field, _, said = str(error).partition(": ")
            raise too_large(document, f"{section.name}.{field}", said) from None
        except ValueError as error:  # as every ConfigurationError is
            said = str(error).removeprefix(f"{section.name}.")
            words = dict.fromkeys(re.findall(r"\w+", said))
            if any(word in values and word not in trial for word in words):
                return
            named = [word for word in words if word in trial]
            place = (*section.path, *named[:1])
            document.problem(place, said.removeprefix(f"{named[0]}: ") if named else said)
        if not named or any(section.fields[name].required for name in named):
            return
        for name in named:
            del trial[name]
