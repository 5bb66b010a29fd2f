"""Reading a pipeline: parse, override, resolve names, validate, cross-check, and only then anything else.

Every problem of a file is collected and raised together as one PipelineError. Nothing is run or built here.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from microgpt_core.errors import CheckpointError, ConfigurationError, StorageError, UnknownNameError, nearest
from microgpt_core.pipeline.overrides import Overrides, apply
from microgpt_core.pipeline.problems import PipelineError, Place, Problem
from microgpt_core.pipeline.run_folder import find_run, model_folder
from microgpt_core.pipeline.section import Section, finish, read_analyzers, read_section
from microgpt_core.pipeline.settings import COMPONENTS, SETTINGS, SUPPLIED, Component, Pipeline
from microgpt_core.pipeline.top_level import TYPES, read_top_level
from microgpt_core.pipeline.yaml_reader import Document, Location, read_yaml
from microgpt_core.plugins.registry import Registry
from microgpt_core.saving.model_folder import read_config

SUFFIXES = (".yaml", ".yml")


def read_pipeline(source: str | Path, registry: Registry, overrides: Overrides = ()) -> Pipeline:
    """The pipeline in a YAML file, or the one inside the package that has this name.

    `overrides` change it: ["model.n_layer=4", ...] or {"model.n_layer": 4}. Raises PipelineError with all that
    is wrong, UnknownNameError or ConfigurationError where there is no such pipeline.
    """
    text, label, folder = find(source)
    document = read_yaml(text, label)
    apply(document, overrides)
    if document.data is None:
        document.data = {}  # everything has a default
    if not isinstance(document.data, dict):
        document.problem((), "expected a pipeline's keys, such as `dataset: names`")
        raise PipelineError(document.problems)
    top = read_top_level(document, registry)
    saved = read_start(document, top, folder)
    sections = {name: read_section(document, registry, name, saved) for name in (*COMPONENTS, *SETTINGS)}
    analyzers = read_analyzers(document, registry)
    check_keys(document, [*sections.values(), *analyzers])
    made = {name: finish(document, registry, section, folder) for name, section in sections.items()}
    made["analyzers"] = [finish(document, registry, section, folder) for section in analyzers]
    if saved and document.data.get("tokenizer") is None:
        made["tokenizer"] = None
    check_freeze(document, made["model"], top.get("freeze", []))
    if document.problems:
        raise PipelineError(document.problems)
    return Pipeline(**{"name": Path(label).stem} | top | made, text=text)


def read_start(document: Document, top: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """The fields of the model that training begins with; `init_from` becomes its folder. Empty without one."""
    named = top.get("init_from")
    if named is None:
        return {}
    try:
        beside = Path(folder or ".") / Path(named).expanduser()
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


def check_keys(document: Document, sections: list[Section]) -> None:
    """Note each unknown key, with the section that it belongs to or the name that it is near to."""
    top = [*TYPES, *COMPONENTS, *SETTINGS, "analyzers"]
    places: list[tuple[Location, dict[str, Any], list[str]]] = [((), document.data, top)]
    places += [(s.path, s.given, s.keys) for s in sections if s.cls is not None]
    for path, given, allowed in places:
        for key in [key for key in given if key not in allowed]:
            owner = next((s.name for s in sections if key in s.fields), "")
            if path and key in SUPPLIED.get(str(path[0]), {}):
                message = "the run fills this in; leave it out"
            elif key in TYPES:
                message = "unknown key; it goes at the top level"
            elif owner:
                message = f"unknown key; it goes under `{owner}:`"
            else:
                message = f"unknown key{nearest(key, allowed)}; known: {', '.join(allowed)}"
            document.problem((*path, key), message, key=True)


def packaged() -> dict[str, Traversable]:
    """The pipelines inside the package, by name."""
    return {Path(file.name).stem: file for file in files(__package__).joinpath("pipelines").iterdir()}


def find(source: str | Path) -> tuple[str, str, Path | None]:
    """A pipeline's text, what to call it, and the folder that its relative paths start from."""
    if file := packaged().get(str(source)):
        return file.read_text(encoding="utf-8"), file.name, None
    path = Path(source)
    if path.is_file():
        return decode(path), str(source), path.parent
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        near = nearest(path.name, [f.name for f in path.parent.glob("*") if f.suffix in SUFFIXES])
        raise ConfigurationError(f"{source}: there is no such file{near}")
    raise UnknownNameError(
        "pipeline", str(source), packaged(), "A file of your own is named with its suffix: ./mine.yaml"
    )


def decode(path: Path) -> str:
    """A file's text. Raises PipelineError at the first byte that isn't UTF-8."""
    try:
        raw = path.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start)
        before = raw[raw.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8-sig")
        place = Place(str(path), line + 1, len(before) + 1, before)
        raise PipelineError(
            [Problem(place, f"byte 0x{raw[error.start]:02X} isn't UTF-8; save the file as UTF-8")]
        ) from None
