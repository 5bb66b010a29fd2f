"""What the command line and the environment change: `--set model.n_layer=4`, laid over a document that has been read.

`MICROGPT_SET="train.max_steps=100 model.n_layer=2"` says the same for every command; what is typed goes before it.
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from microgpt_core.pipeline.reading.problems import PipelineError, Place, Problem
from microgpt_core.pipeline.reading.settings import SHORT
from microgpt_core.pipeline.reading.yaml_reader import Document, Location, read_yaml

VARIABLE = "MICROGPT_SET"
NEXT_KEY = re.compile(r"\s+(?=[\w.]+=)")  # the space before it; one inside a value, such as [0.9, 0.95], stays
PRESET = "model.preset"
Overrides = Iterable[str] | Mapping[str, Any]  # "model.n_layer=4", or {"model.n_layer": 4} from Python


class InEnvironment(str):
    """An override that wasn't typed; a problem with it is placed in the variable."""


def from_environment() -> list[str]:
    """The overrides in MICROGPT_SET."""
    return [InEnvironment(text) for text in NEXT_KEY.split(os.environ.get(VARIABLE, "").strip()) if text]


def apply(document: Document, overrides: Overrides) -> None:
    """Lay overrides over a document, in their order but for a preset, which comes first: it says all of a model.

    Raises PipelineError where one can't be read.
    """
    if isinstance(overrides, Mapping):
        for key in sorted(overrides, key=lambda key: key != PRESET):
            put(document, key, overrides[key], Place("override", 0, 1, f"{key}={overrides[key]!r}"))
        return
    for text in sorted(overrides, key=lambda text: not text.startswith(f"{PRESET}=")):
        key, equals, written = text.partition("=")
        source = VARIABLE if isinstance(text, InEnvironment) else "--set"
        place = Place(source, 0, 1, str(text))
        if not equals or not all(key.split(".")):
            raise PipelineError([Problem(place, "expected KEY=VALUE, for example model.n_layer=4")])
        put(document, key, read_value(written, Place(source, 0, len(key) + 2, str(text))), place)


def read_value(written: str, place: Place) -> Any:
    """A value as YAML has it. Raises PipelineError, with the place in the command line."""
    try:
        value = read_yaml(written, "--set")
        found = value.problems
    except PipelineError as error:
        found = error.problems
    if found:
        raise PipelineError([Problem(place, problem.message) for problem in found])
    return value.data


def put(document: Document, key: str, value: Any, place: Place) -> None:
    """Replace what stands at `model.n_layer`, making the sections above it where there are none.

    An item of a list is named by its number: `dataset.datasets.0.path`.
    """
    if not isinstance(document.data, dict):
        document.data = {}
    section: Any = document.data
    path: Location = ()
    if key == PRESET and "preset" not in (section.get("model") or {}):
        section.pop("model", None)  # the file's own sizes; beside a preset of its own, they were meant to change it
        forget(document, ("model",))
    *above, last = key.split(".")
    for step, following in zip(above, [*above[1:], last]):
        at = position(section, step, place)
        path, inner = (*path, at), section[at] if isinstance(section, list) else section.get(at)
        if isinstance(inner, str):
            inner = {SHORT.get(step, "use"): inner}  # the long form of `tokenizer: char`
        if not (isinstance(inner, dict) or isinstance(inner, list) and following.isdecimal()):
            inner = {}
            document.keys[path] = document.values[path] = place
        section[at] = inner
        section = inner
    path = (*path, position(section, last, place))
    section[path[-1]] = value
    forget(document, path)
    document.keys[path] = place
    document.values[path] = Place(place.source, 0, min(len(key) + 2, len(place.text)), place.text)


def position(section: dict[str, Any] | list[Any], step: str, place: Place) -> Any:
    """A key of a mapping, or the number of an item of a list. Raises PipelineError where the list hasn't got it."""
    if isinstance(section, dict):
        return step
    if int(step) >= len(section):
        raise PipelineError([Problem(place, f"there is no item {step}: {len(section)} are listed, the first is 0")])
    return int(step)


def forget(document: Document, path: Location) -> None:
    """Drop the places of what stood at a path and below it."""
    for places in (document.keys, document.values):
        for old in [p for p in places if p[: len(path)] == path]:
            del places[old]
