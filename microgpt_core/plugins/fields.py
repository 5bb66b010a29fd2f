"""A component's fields: the keys that it has in YAML, with type, default and meaning.

The meaning stands in the class's docstring, or in that of the class that it inherits the field from:

    Fields:
        max_steps: steps to make
        lr: learning rate; a longer explanation
            goes on in further lines, indented more
"""

import re
from dataclasses import MISSING, dataclass, fields, is_dataclass
from inspect import cleandoc, formatannotation
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from microgpt_core.plugins.kinds import held
from microgpt_core.plugins.pack import PluginError

ENTRY = re.compile(r"    (\w+): +(.*)")


@dataclass(frozen=True)
class Field:
    """One key of a component."""

    name: str
    type: Any
    default: Any  # MISSING where it has to be given
    doc: str

    @property
    def required(self) -> bool:
        return self.default is MISSING


def fields_of(component: Any) -> list[Field]:
    """The fields that a class is made with, in order; none where it isn't a dataclass.

    Raises PluginError where the type of one is a name that only a type checker can see.
    """
    if not (isinstance(component, type) and is_dataclass(component)):
        return []
    try:
        hints = get_type_hints(component)
    except NameError as error:
        raise PluginError(f"the fields of {component.__module__}.{component.__name__}: {error}") from error
    docs: dict[str, str] = {}
    for cls in reversed(component.__mro__):
        docs |= field_docs(cls.__dict__.get("__doc__") or "")
    found = []
    for f in fields(component):
        if f.init:
            default = f.default if f.default_factory is MISSING else f.default_factory()
            found.append(Field(f.name, hints[f.name], default, docs.get(f.name, "")))
    return found


def field_docs(docstring: str) -> dict[str, str]:
    """What the section `Fields:` of a docstring says of each."""
    found: dict[str, str] = {}
    name = ""
    for line in cleandoc(docstring).partition("\nFields:\n")[2].splitlines():
        if entry := ENTRY.fullmatch(line):
            name = entry[1]
            found[name] = entry[2]
        elif line.startswith("     ") and name:
            found[name] += f" {line.strip()}"
        elif line.strip():
            break
    return found


def type_text(annotation: Any) -> str:
    """A type as the reference shows it: `int`, `float or null`, `documents or packed`, `a list of datasets`."""
    if components := held(annotation):
        return str(components)
    if annotation is type(None):
        return "null"
    if get_origin(annotation) is Literal:
        return " or ".join(map(str, get_args(annotation)))
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(map(type_text, get_args(annotation)))
    return formatannotation(annotation).rpartition(".")[2] if isinstance(annotation, type) else str(annotation)
