"""Reading a pipeline: parse, extend, override, resolve names, validate, cross-check, and only then anything else.

Every problem of a file is collected and raised together as one PipelineError. Nothing is run or built here.
"""

from itertools import chain
from os.path import expanduser
from pathlib import Path
from typing import Any

from microgpt_core.components import Dataset
from microgpt_core.errors import CheckpointError, ConfigurationError, StorageError
from microgpt_core.pipeline.folders import find_run, model_folder
from microgpt_core.pipeline.reading.extends import read_extended
from microgpt_core.pipeline.reading.keys import check_keys
from microgpt_core.pipeline.reading.overrides import Overrides, apply
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.reading.section import finish, read_list, read_section
from microgpt_core.pipeline.reading.settings import COMPONENTS, LISTED, SETTINGS, SUPPLIED, Component, Pipeline
from microgpt_core.pipeline.reading.sizes import check_sizes
from microgpt_core.pipeline.reading.top_level import read_top_level
from microgpt_core.pipeline.reading.yaml_reader import Document, Location
from microgpt_core.plugins.registry import Registry
from microgpt_core.saving.model_folder import read_config


def read_pipeline(source: str | Path, registry: Registry, overrides: Overrides = ()) -> Pipeline:
    """The pipeline in a YAML file, or the one inside the package that has this name.

    `overrides` change it: ["model.n_layer=4", ...] or {"model.n_layer": 4}. Raises PipelineError with all that
    is wrong, UnknownNameError or ConfigurationError where there is no such pipeline, DoesNotFitError for a size that
    no machine has room for.
    """
    document = read_extended(source)
    apply(document, overrides)
    top = read_top_level(document, registry)
    saved = read_start(document, top)
    sections = {name: read_section(document, registry, name, saved) for name in (*COMPONENTS, *SETTINGS)}
    lists = {kind: read_list(document, registry, kind) for kind in LISTED}
    check_keys(document, registry, [*sections.values(), *chain.from_iterable(lists.values())])
    made = {name: finish(document, registry, section) for name, section in sections.items()}
    made |= {kind: [finish(document, registry, section) for section in found] for kind, found in lists.items()}
    if saved and document.data.get("tokenizer") is None:
        made["tokenizer"] = None
    if getattr(made["dataset"].cls, "tokens", Dataset.tokens) is not Dataset.tokens and not document.data.get(
        "tokenizer"
    ):
        made["tokenizer"] = None  # the dataset is numbers, and comes with what they mean
    check_formats(document, registry)
    check_freeze(document, made["model"], top.get("freeze", []))
    if document.problems:
        raise PipelineError(document.problems)
    pipeline = Pipeline(**{"name": Path(document.source).stem} | top | made, text=document.text)
    check_sizes(document, pipeline)
    return pipeline


def read_start(document: Document, top: dict[str, Any]) -> dict[str, Any]:
    """The fields of the model that training begins with; `init_from` becomes its folder. Empty without one."""
    named = top.get("init_from")
    if named is None:
        return {}
    try:
        beside = document.where(("init_from",)).folder / expanduser(named)
        start = model_folder(beside if beside.is_dir() else find_run(named)).absolute()
        top["init_from"] = str(start)
        saved: dict[str, Any] = read_config(start)["model"]
        return {name: value for name, value in saved.items() if name not in SUPPLIED["model"]}
    except (ConfigurationError, CheckpointError, StorageError) as error:
        document.problem(("init_from",), str(error))
        return {}


def check_freeze(document: Document, model: Component, patterns: list[str]) -> None:
    """Note each pattern that names nothing in the model."""
    if document.problems:
        return  # there may be no model to look in
    built = model.build(**SUPPLIED["model"])
    for i, pattern in enumerate(patterns):
        try:
            built.freeze([pattern])
        except ConfigurationError as error:
            document.problem(("freeze", i), str(error))


def check_formats(document: Document, registry: Registry) -> None:
    """Note each format that the section `export` names and that nothing brings."""
    path: Location = ("export",)
    if isinstance(named := document.data.get("export"), dict):
        named, path = named.get("format"), ("export", "format")
    for i, name in enumerate(named if isinstance(named, list) else [named]):
        try:
            if isinstance(name, str):
                registry.find("formats", name)
        except ConfigurationError as error:
            document.problem((*path, *([i] if isinstance(named, list) else [])), str(error))
