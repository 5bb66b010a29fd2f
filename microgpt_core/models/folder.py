"""A model as a folder: `config.json`, `model.safetensors`, `tokenizer.json`. Nothing in it is code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from microgpt_core.components import Tokenizer
from microgpt_core.components.buffer import FORMATS, flat
from microgpt_core.components.op import show_shape
from microgpt_core.errors import CheckpointError
from microgpt_core.models.gpt import GPT
from microgpt_core.models.model import Model
from microgpt_core.storage.safetensors import read_safetensors, write_safetensors
from microgpt_core.text.char import Char

SCHEMA = 1
WEIGHTS = "model.safetensors"
Find = Callable[[str, str], Any]  # (kind, name) -> the class registered under it


def find_in_core(kind: str, name: str) -> Any:
    """The core's own models and tokenizers, without any registry."""
    known: dict[tuple[str, str], Any] = {("models", "gpt"): GPT, ("tokenizers", "char"): Char}
    if (kind, name) not in known:
        raise CheckpointError(f"{kind}: {name!r} isn't the core's; load it through mg.load or install its pack")
    return known[kind, name]


def write_model(folder: Path, model: Model, tokenizer: Tokenizer, about: dict[str, str] | None = None) -> None:
    """Write the three files. `about` (versions, run, step) is kept beside the configuration."""
    config = {"schema": SCHEMA, "precision": model.precision, "model": {"use": model.use, **model.config()}}
    write_json(folder / "config.json", {**config, "about": about or {}})
    write_json(folder / "tokenizer.json", tokenizer.to_dict())
    write_safetensors(folder / WEIGHTS, model.state())


def read_model(folder: Path, find: Find = find_in_core) -> tuple[Model, Tokenizer]:
    """The model, allocated and filled, and its tokenizer. Raises CheckpointError for what isn't a model folder."""
    config = read_json(folder / "config.json")
    if config.get("schema") != SCHEMA:
        raise CheckpointError(f"{folder / 'config.json'}: schema {config.get('schema')!r}; this version reads {SCHEMA}")
    try:
        fields = dict(config["model"])
        model: Model = find("models", fields.pop("use"))(**fields)
        model.allocate(config["precision"])
        state = read_json(folder / "tokenizer.json")
        tokenizer: Tokenizer = find("tokenizers", state["use"]).from_dict(state)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder}: config.json or tokenizer.json doesn't fit its component: {error}") from error
    fill(model, folder / WEIGHTS)
    return model, tokenizer


def fill(model: Model, path: Path) -> None:
    """Copy the weights of a file into an allocated model. Raises CheckpointError unless they match one for one."""
    parameters = {p.name: p for p in model.parameters()}
    with read_safetensors(path) as saved:
        if missing := sorted(parameters.keys() ^ set(saved)):
            raise CheckpointError(f"{path}: the file and the model differ in {', '.join(missing[:5])}")
        for name, p in parameters.items():
            if saved[name].shape != p.shape or saved[name].format != FORMATS[model.precision]:
                found, expected = saved[name], show_shape(p.shape, FORMATS[model.precision])
                raise CheckpointError(f"{path}: {name} is {show_shape(found.shape, found.format)}, expected {expected}")
            flat(p.data)[:] = flat(saved[name])


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises CheckpointError with the place where it isn't one."""
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file, so {path.parent} is no model folder")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: this isn't JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected an object {{...}}, found {type(value).__name__}")
    return value
