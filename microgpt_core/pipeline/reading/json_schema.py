"""The JSON Schema of pipelines, with every component that is there, so that editors complete and check them.

It says what types and names can say; what only holds between values (`n_embd` by `n_head`) the reader says.
"""

import logging
import re
from typing import Any

from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.pipeline.reading.schema import json_schema
from microgpt_core.pipeline.reading.section import fitting
from microgpt_core.pipeline.reading.settings import COMPONENTS, LISTED, SECTIONS, SETTINGS, SUPPLIED, Pipeline, plain
from microgpt_core.pipeline.reading.source import packaged
from microgpt_core.pipeline.reading.top_level import TYPES
from microgpt_core.plugins.fields import Field, fields_of
from microgpt_core.plugins.kinds import Held, held
from microgpt_core.plugins.pack import PluginError
from microgpt_core.plugins.registry import Registry

log = logging.getLogger(__name__)
Schema = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def pipeline_schema(registry: Registry) -> Schema:
    """The schema of a whole file."""
    keys = {field.name: field_schema(field) for field in fields_of(Pipeline) if field.name in TYPES}
    for key, kind in (("backend", "backends"), ("passes", "passes")):
        several = {"type": "array", "items": names(registry, kind)}
        keys[key] |= {"anyOf": [names(registry, kind, "auto"), several]}
    keys["kernels"] |= {"propertyNames": names(registry, "ops"), "additionalProperties": names(registry, "backends")}
    keys["stages"] |= {"items": names(registry, "stages")}
    about = "a file that this one is laid over, or the name of a packaged pipeline"
    keys["extends"] = {"type": "string", "description": about, "examples": sorted(packaged())}
    for section, (kind, default) in COMPONENTS.items():
        keys[section] = component(registry, section, kind) | {"default": default}
    for section, cls in SETTINGS.items():
        keys[section] = mapping(fields_of(cls)) | {"type": ["object", "null"], "description": first_line(cls)}
    one = names(registry, "formats")
    formats = {"anyOf": [one, {"type": "array", "items": one}]}
    keys["export"]["properties"]["format"] |= formats
    keys["export"] = {"anyOf": [formats, keys["export"]], "description": keys["export"].pop("description")}
    for kind in LISTED:
        keys[kind] = {"type": ["array", "null"], "items": component(registry, kind, kind)}
    about = "What `microgpt run` takes; everything has a default."
    head = {"$schema": DRAFT, "title": "a microgpt pipeline", "description": about, "type": ["object", "null"]}
    return {**head, "properties": keys, "additionalProperties": False}


def component(registry: Registry, section: str, kind: str) -> Schema:
    """A section that names a component: `char`, or `{use: char, ...}`; without `use`, the fields of any one."""
    known, special = names(registry, kind), Schema()
    if section == "model":
        about = [f"{name}: {preset.about}" for name, preset in PRESETS.items()]
        special = {"preset": {"enum": list(PRESETS), "description": "sizes of a known model. " + "; ".join(about)}}
    made, cases = dict[str, Schema](), list[Schema]()
    for name in registry.names(kind):
        try:
            cls = registry.get(kind, name)
        except PluginError as error:  # its fields can't be known, and the others' can
            log.warning("%s", error)
            continue
        fields = [field for field in fields_of(cls) if field.name not in SUPPLIED.get(section, {})]
        made[name] = mapping(fields)
        for field, slot in getattr(cls, "slots", {}).items():
            made[name]["properties"][field] |= any_of(registry, "ops", fitting(registry, slot))
        made[name]["properties"] |= {"use": known} | special
        uses = {
            "required": ["use"],
            "properties": {"use": {"type": "string", "pattern": spellings(registry, kind, [name])}},
        }
        cases.append({"if": {"type": "object", **uses}, "then": made[name]})
    unnamed = {"type": "object", "not": {"required": ["use"]}}
    return {
        "description": f"a {kind.removesuffix('s')}: its name, or a mapping with `use` and its fields",
        "type": ["string", "object", "null"],
        "allOf": [
            {"if": {"type": "string"}, "then": known},
            {"if": {"type": "object"}, "then": {"properties": {"use": known}}},
            *cases,
            {"if": unnamed, "then": {"anyOf": list(made.values())}} if made else {},
        ],
    }  # fmt: skip


def names(registry: Registry, kind: str, *others: str) -> Schema:
    """Any component's name; editors offer the short ones."""
    return any_of(registry, kind, registry.names(kind), *others)


def any_of(registry: Registry, kind: str, known: list[str], *others: str) -> Schema:
    """One of these components' names."""
    return {"anyOf": [{"enum": [*known, *others]}, {"type": "string", "pattern": spellings(registry, kind, known)}]}


def spellings(registry: Registry, kind: str, known: list[str]) -> str:
    """A pattern for names as a pipeline may have them: `bpe`, `tokenizers/bpe`, `bpe@1`."""
    found = [(name, registry.find(kind, name)[0].name) for name in known]
    short = (f"({re.escape(pack)}/)?{re.escape(name.removeprefix(f'{pack}/'))}" for name, pack in found)
    return f"^({'|'.join(short)})(@[0-9]+)?$"


def mapping(fields: list[Field]) -> Schema:
    """A section with these fields and no others."""
    required = [field.name for field in fields if field.required]
    properties = {field.name: field_schema(field) for field in fields}
    return {"type": "object", "properties": properties, "additionalProperties": False, "required": required}


def field_schema(field: Field) -> Schema:
    """A field's type, with its meaning and its default."""
    schema = inner(components) if (components := held(field.type)) else json_schema(field.type)
    schema |= {"description": field.doc} if field.doc else {}
    return schema if field.required else {**schema, "default": plain(field.default)}


def inner(components: Held) -> Schema:
    """A field that holds components: each as its kind's section has it."""
    section = SECTIONS.get(components.kind.name)
    one = {"$ref": f"#/properties/{section}" if section else f"#/properties/{components.kind.name}/items"}
    schema = {"type": "array", "items": one} if components.several else one
    return {"anyOf": [schema, {"type": "null"}]} if components.optional else schema


def first_line(cls: type) -> str:
    return (cls.__doc__ or "").partition("\n")[0]
