"""Components: every section of a pipeline, and the fields of whatever it can name."""

import inspect

from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.settings import COMPONENTS, SETTINGS, SUPPLIED, plain
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.plugins.fields import Field, fields_of, type_text
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry
from microgpt_core.plugins.selection import Without
from reference_pages import page_top

ABOUT = "Every key of the YAML file, with its default. `microgpt show KIND NAME` prints the same, for packs too."


def page() -> str:
    registry = core()
    parts = [page_top("What a pipeline can say", ABOUT)]
    for section, (kind, default) in COMPONENTS.items():
        parts.append(f"## {section}\n\n`{section}: {default}` where it isn't given.\n")
        for name in registry.names(kind):
            about = registry.describe(kind, name)
            table = fields_table([f for f in about.fields if f.name not in SUPPLIED.get(section, {})])
            parts.append(f"### {section}: {name}\n\n{about.doc}\n{table}")
    for section, cls in SETTINGS.items():
        first = inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]
        parts.append(f"## {section}\n\n{first}\n{fields_table(fields_of(cls))}")
    return "\n".join(parts)


def core() -> Registry:
    """The core's components alone: the reference is the core's, wherever it is made."""
    return load(builtin, [Without(pack.name) for pack in load(builtin).packs])


def fields_table(fields: list[Field]) -> str:
    if not fields:
        return ""
    rows = [f"| `{f.name}` | {type_text(f.type)} | {default(f)} | {f.doc} |" for f in fields]
    return "\n".join(["", "| field | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def default(field: Field) -> str:
    if field.required:
        return "required"
    return f"`{write_yaml({'x': plain(field.default)}).strip().removeprefix('x: ')}`"
