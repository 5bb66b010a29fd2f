"""A model as a folder: `config.json`, `model.safetensors`, `tokenizer.json`. Nothing in it is code."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from microgpt_core.components import Buffer, Op, Tokenizer
from microgpt_core.components.buffer import flat
from microgpt_core.components.op import show_shape
from microgpt_core.errors import CheckpointError, UnknownNameError
from microgpt_core.models.model import Model
from microgpt_core.storage.manifest import MANIFEST, verify_folder
from microgpt_core.storage.safetensors import SafeTensors, read_safetensors, write_safetensors

SCHEMA = 1
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
Find = Callable[[str, str], Any]  # (kind, name) -> what is registered under it; raises UnknownNameError


def write_model(folder: Path, model: Model, tokenizer: Tokenizer, about: dict[str, str] | None = None) -> None:
    """Write the three files. `about` (versions, run, step) is kept beside the configuration."""
    config = {"schema": SCHEMA, "precision": model.precision, "model": {"use": model.use, **model.config()}}
    write_json(folder / CONFIG, {**config, "about": about or {}})
    write_json(folder / TOKENIZER, tokenizer.to_dict())
    write_safetensors(folder / WEIGHTS, model.state())


def read_model(folder: Path, find: Find) -> tuple[Model, Tokenizer]:
    """The model, allocated and filled, and its tokenizer.

    Raises CheckpointError for what isn't a model folder, or has changed since its manifest was written;
    UnknownNameError where the pack that brought a component is missing.
    """
    config = read_config(folder)
    with blaming(folder / CONFIG):
        model = make_model(dict(config["model"]), find)
        model.set_precision(config["precision"])
    tokenizer = read_tokenizer(folder, find)
    if tokenizer.vocab_size != model.vocab_size:
        raise CheckpointError(
            f"{folder / TOKENIZER}: it has {tokenizer.vocab_size} tokens, the model {model.vocab_size}"
        )
    fill(model, folder / WEIGHTS)
    return model, tokenizer


def read_config(folder: Path) -> dict[str, Any]:
    """What `config.json` says, in a folder that is whole."""
    if (folder / MANIFEST).is_file():
        verify_folder(folder)
    config = read_json(folder / CONFIG)
    with blaming(folder / CONFIG):
        if (schema := config.get("schema")) != SCHEMA:
            raise CheckpointError(f"found schema {schema!r}, this version of microgpt reads {SCHEMA}")
        _ = config["model"]["use"]
    return config


def read_tokenizer(folder: Path, find: Find) -> Tokenizer:
    """The tokenizer of a model folder."""
    state = read_json(folder / TOKENIZER)
    with blaming(folder / TOKENIZER):
        tokenizer: Tokenizer = find("tokenizers", str(state["use"])).from_dict(state)
        return tokenizer


def make_model(fields: dict[str, Any], find: Find) -> Model:
    """The model that `use` names, made of the other fields; those that fill a slot name an op."""
    cls: type[Model] = find("models", str(fields.pop("use")))
    for field in cls.slots.keys() & fields.keys():
        op = find("ops", str(fields[field]))
        fields[field] = op if isinstance(op, Op) else op()
    return cls(**fields)


def fill(model: Model, path: Path) -> None:
    """Allocate a model and copy the weights of a file into it. Raises CheckpointError unless they match one for one."""
    with read_safetensors(path) as saved:
        check_tensors(saved, {p.name: show_shape(p.shape, p.value.format) for p in model.parameters()})
        model.allocate(model.precision)  # only now is any memory taken
        copy(saved, model.state())


def copy_tensors(folder: Path, wanted: Mapping[str, Mapping[str, Buffer]]) -> None:
    """Copy the tensors of files into buffers, by file and name.

    Raises CheckpointError unless all match one for one; then nothing is changed.
    """
    with ExitStack() as opened:
        files = {name: opened.enter_context(read_safetensors(folder / name)) for name in wanted}
        for name, saved in files.items():
            check_tensors(saved, {key: show_shape(x.shape or (), x.format) for key, x in wanted[name].items()})
        for name, saved in files.items():
            copy(saved, wanted[name])


def copy(source: Mapping[str, Buffer], target: Mapping[str, Buffer]) -> None:
    """Copy the numbers of each buffer of the target from the one of the same name."""
    for name, buffer in target.items():
        flat(buffer)[:] = flat(source[name])


@contextmanager
def lent(source: Mapping[str, Buffer], target: Mapping[str, Buffer]) -> Iterator[None]:
    """For a block, the numbers of the source in the buffers of the same name of the target; then, what was there."""
    borrowers = {name: target[name] for name in source}
    held = {name: buffer.tobytes() for name, buffer in borrowers.items()}
    copy(source, borrowers)
    try:
        yield
    finally:
        for name, buffer in borrowers.items():
            buffer.cast("B")[:] = held[name]


def check_tensors(saved: SafeTensors, expected: Mapping[str, str]) -> None:
    """Raise CheckpointError at the first tensor that isn't what is expected of its name."""
    found = {name: show_shape(x.shape or (), x.format) for name, x in saved.items()}
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            raise CheckpointError(
                f"{saved.path}: {name} is {found.get(name, 'missing')}, expected {expected.get(name, 'no such tensor')}"
            )


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """What a component can't make of a file's values is that file's fault: a CheckpointError that names it."""
    try:
        yield
    except UnknownNameError:  # says which pack is missing
        raise
    except KeyError as error:
        raise CheckpointError(f"{path}: it has no {error}") from error
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises CheckpointError with the place where it isn't one."""
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file, so {path.parent} is no model folder")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: this isn't JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected an object {{...}}, found {type(value).__name__}")
    return value
