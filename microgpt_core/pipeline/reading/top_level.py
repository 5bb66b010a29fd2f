"""The keys of a pipeline that are no sections: their values, and whether the names in them are names of something."""

import re
from os.path import expanduser
from typing import Any, get_type_hints

from microgpt_core.errors import ConfigurationError, UnknownNameError, nearest
from microgpt_core.pipeline.reading.requirement import is_file, unmet
from microgpt_core.pipeline.reading.schema import validate_all
from microgpt_core.pipeline.reading.settings import COMPONENTS, LISTED, SETTINGS, Pipeline
from microgpt_core.pipeline.reading.yaml_reader import Document, Location
from microgpt_core.pipeline.stage import as_stage
from microgpt_core.plugins.kinds import kind_named
from microgpt_core.plugins.loader import add_file
from microgpt_core.plugins.pack import PluginError
from microgpt_core.plugins.registry import Registry

TYPES = {
    key: hint for key, hint in get_type_hints(Pipeline).items() if key not in (*COMPONENTS, *SETTINGS, *LISTED, "text")
}
FILE_NAME = re.compile(r'[^<>:"/\\|?*\x00-\x1f]*[^<>:"/\\|?*\x00-\x1f. ]')  # one that every system allows


def read_top_level(document: Document, registry: Registry) -> dict[str, Any]:
    """The values that are given. Problems are noted in the document."""
    top = validate_all(document, (), TYPES, document.data)
    if not FILE_NAME.fullmatch(top.get("name", "-")):
        document.problem(("name",), f"{top['name']!r} can't be a folder's name; use letters, digits, - and _")
    if top.get("seed", 0) < 0:
        document.problem(("seed",), f"found {top['seed']}, allowed: 0 or more")
    check_plugins(document, registry, top.get("plugins", []))
    check_names(document, registry, top)
    return top


def check_plugins(document: Document, registry: Registry, plugins: list[str]) -> None:
    """Note each requirement that isn't met. Where code is allowed, a file is run, and becomes its absolute path."""
    for i, requirement in enumerate(plugins):
        if registry.allows_code and is_file(requirement):
            file = document.where(("plugins", i)).folder / expanduser(requirement)
            plugins[i] = str(file.absolute())
            try:
                if plugins[i] not in [
                    pack.distribution for pack in registry.packs
                ]:  # it may be read before, as by a resume
                    add_file(registry, plugins[i])
            except PluginError as error:
                document.problem(("plugins", i), str(error))
        elif wrong := unmet(requirement, registry.packs):
            document.problem(("plugins", i), wrong)


def check_names(document: Document, registry: Registry, top: dict[str, Any]) -> None:
    """Note each name of a backend, a pass, an op or a stage that the registry doesn't know."""
    check_chosen(document, registry, "backend", "backends", top.get("backend", "auto"))
    check_chosen(document, registry, "passes", "passes", top.get("passes", "auto"))
    if top.get("precision") == "bfloat16":
        check_name(document, registry, ("precision",), "passes", "bfloat16")
    for op, name in top.get("kernels", {}).items():
        check_name(document, registry, ("kernels", op), "ops", op, key=True)
        check_name(document, registry, ("kernels", op), "kernels" if is_kernel(name) else "backends", name)
        if is_kernel(name) and short(name) != short(op):
            document.problem(("kernels", op), f"{name!r} is a kernel of the op {short(name)!r}")
    if top.get("stages") == []:
        document.problem(("stages",), "expected at least one stage, such as train")
    check_stages(document, registry, top.get("stages", []))


def check_chosen(document: Document, registry: Registry, key: str, kind: str, chosen: str | list[str]) -> None:
    """Note what is unknown in `auto`, a name, or a list of names."""
    if isinstance(chosen, list):
        for i, name in enumerate(chosen):
            check_name(document, registry, (key, i), kind, name)
    elif chosen != "auto" and nearest(chosen, ["auto"]):
        known = ["auto", *registry.names(kind)]
        document.problem((key,), str(UnknownNameError(kind_named(kind).one, chosen, known)))
    elif chosen != "auto":
        check_name(document, registry, (key,), kind, chosen)


def check_name(document: Document, registry: Registry, path: Location, kind: str, name: str, key: bool = False) -> None:
    """Note a name that the registry doesn't know; `key`: the place is the key's, not the value's."""
    try:
        registry.find(kind, name)
    except ConfigurationError as error:
        document.problem(path, str(error), key)


def check_stages(document: Document, registry: Registry, names: list[str]) -> None:
    """Note each stage that isn't known, comes twice, or comes before one that it builds on."""
    for i, name in enumerate(names):
        try:
            stage = as_stage(name, registry.get("stages", name))
        except ConfigurationError as error:
            document.problem(("stages", i), str(error))
            continue
        if name in names[:i]:
            document.problem(("stages", i), f"{name!r} comes twice")
        for later in [later for later in stage.after if later in names[i + 1 :]]:
            document.problem(("stages", i), f"{name!r} builds on {later!r}, which comes after it")


def short(name: str) -> str:
    """A name without packs and pins before and behind it."""
    return name.rpartition("/")[2].partition("@")[0]


def is_kernel(name: str) -> bool:
    """Whether what `kernels:` gives an op is a pack's kernel, `fast/numpy/gelu`, and not just a backend."""
    return name.count("/") == 2
