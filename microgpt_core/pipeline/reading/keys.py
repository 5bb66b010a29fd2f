"""Keys that a pipeline can't have: where each belongs, what it is called here, or which name it is near to."""

from collections.abc import Iterator
from itertools import chain

from microgpt_core.errors import nearest
from microgpt_core.pipeline.reading.section import Section
from microgpt_core.pipeline.reading.settings import COMPONENTS, LISTED, SETTINGS, SUPPLIED
from microgpt_core.pipeline.reading.top_level import TYPES
from microgpt_core.pipeline.reading.yaml_reader import Document
from microgpt_core.plugins.fields import fields_of
from microgpt_core.plugins.pack import PluginError
from microgpt_core.plugins.registry import Registry

MERGE = "<<"  # is a problem already
TOP = [*TYPES, *COMPONENTS, *SETTINGS, *LISTED, "extends"]

# What other programs call it -> what it is here.
ELSEWHERE = {
    **dict.fromkeys(("max_iters", "steps", "iterations"), "train.max_steps"),
    **dict.fromkeys(("num_epochs", "max_epochs"), "train.epochs"),
    **dict.fromkeys(("learning_rate", "max_lr"), "optimizer.lr"),
    **dict.fromkeys(("num_layers", "num_hidden_layers", "depth"), "model.n_layer"),
    **dict.fromkeys(("num_heads", "num_attention_heads"), "model.n_head"),
    **dict.fromkeys(("hidden_size", "d_model", "dim", "embed_dim"), "model.n_embd"),
    **dict.fromkeys(("context_length", "seq_len", "max_seq_len", "n_positions"), "model.block_size"),
    **dict.fromkeys(("max_tokens", "max_length"), "generate.max_new_tokens"),
    **dict.fromkeys(("dtype",), "precision"),
    **dict.fromkeys(("device",), "backend"),
}


def check_keys(document: Document, registry: Registry, sections: list[Section]) -> None:
    """Note each key that a pipeline, or the component that a section names, hasn't got."""
    owners = {key: section.name for section in reversed(sections) for key in section.fields}
    for key in [key for key in document.data if key not in [*TOP, MERGE] or key == "extends"]:
        said = misplaced(key, "", owners) or unknown(key, TOP, "microgpt show pipeline names")
        document.problem((key,), said, key=True)
    for section in chain.from_iterable(section.everything() for section in sections):
        for key in [key for key in section.given if section.cls and key not in [*section.keys, MERGE]]:
            said = misplaced(key, section.name, owners) or of_another(registry, section, key)
            document.problem((*section.path, key), said or unknown_in(section, key), key=True)


def misplaced(key: str, section: str, owners: dict[str, str]) -> str:
    """What to say of a key that belongs somewhere else, or nowhere."""
    if key.isdigit():
        return "unknown key; a number is written without commas"
    if key in SUPPLIED.get(section, {}):
        return "the run fills this in; leave it out"
    if key == "extends":
        return "this can only stand in a file, at the top level"
    if section and key in TOP:
        return "unknown key; it goes at the top level"
    if key in owners:
        return f"unknown key; it goes under `{owners[key]}:`"
    return f"unknown key; here it is {ELSEWHERE[key]}" if key in ELSEWHERE else ""


def of_another(registry: Registry, section: Section, key: str) -> str:
    """What to say of a key that other components of the section's kind have."""
    if section.name not in COMPONENTS:
        return ""
    kind = COMPONENTS[section.name][0]
    found = [name for name in registry.names(kind) if key in field_names(registry, kind, name)]
    known = ", ".join(section.keys)
    return f"unknown key of {section.use!r}, which has {known}; {' and '.join(found)} would take it" if found else ""


def field_names(registry: Registry, kind: str, name: str) -> Iterator[str]:
    try:
        yield from (field.name for field in fields_of(registry.get(kind, name)))
    except PluginError:
        return  # a pack that can't be imported owns no key


def unknown_in(section: Section, key: str) -> str:
    kind = COMPONENTS.get(section.name, (section.name,))[0].removesuffix("s")
    return unknown(key, section.keys, f"microgpt show {kind} {section.use}" if section.use else "")


def unknown(key: str, known: list[str], command: str) -> str:
    """Near which name a key is, or else the command that says more."""
    near = nearest(key, known)
    see = f"; what they mean: {command}" if command and not near else ""
    return f"unknown key{near}; known: {', '.join(known)}{see}"
