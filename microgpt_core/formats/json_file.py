"""The format `json`: a model in one file for people, and for languages that read no other. To the bit.

A number is written as the shortest decimal that a reader of doubles gets back as it was; float32 is among them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

from microgpt_core.components import Format, Tokenizer
from microgpt_core.components.buffer import Buffer, flat
from microgpt_core.components.op import show_shape
from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import CheckpointError, NonFiniteError
from microgpt_core.models.model import Model
from microgpt_core.saving.model_folder import SCHEMA, Find, blaming, copy, make_model, read_json
from microgpt_core.storage.atomic import atomic_write

KIND = "microgpt model"


@dataclass
class JSONFile(Format):
    """One JSON file: what the model is, its tokenizer, and every number that it learned."""

    name: ClassVar[str] = "json"
    suffix: ClassVar[str] = ".json"

    def write(self, model: Model, tokenizer: Tokenizer, path: Path) -> None:
        check_finite(model)
        about = {
            "kind": KIND,
            "schema": SCHEMA,
            "precision": model.precision,
            "model": {"use": model.use, **model.config()},
            "tokenizer": tokenizer.to_dict(),
        }
        head = json.dumps(about, indent=2, ensure_ascii=False).removesuffix("\n}")
        tensors = ",\n".join(f"    {json.dumps(name)}: {numbers(x)}" for name, x in model.state().items())
        atomic_write(path, f'{head},\n  "tensors": {{\n{tensors}\n  }}\n}}\n'.encode())

    def read(self, path: Path, find: Find) -> tuple[Model, Tokenizer]:
        saved = read_json(path)
        if saved.get("kind") != KIND or saved.get("schema") != SCHEMA:
            found = f"{saved.get('kind')!r} of schema {saved.get('schema')!r}"
            raise CheckpointError(f"{path}: found {found}, expected {KIND!r} of schema {SCHEMA}")
        with blaming(path):
            model = make_model(dict(saved["model"]), find)
            model.set_precision(saved["precision"])
            tokenizer: Tokenizer = find("tokenizers", str(saved["tokenizer"]["use"])).from_dict(saved["tokenizer"])
            if tokenizer.vocab_size != model.vocab_size:
                raise ValueError(f"the tokenizer has {tokenizer.vocab_size} tokens, the model {model.vocab_size}")
            tensors = dict(read_tensors(model, saved["tensors"]))
            model.allocate(model.precision)
            copy(tensors, model.state())
        return model, tokenizer


def numbers(x: Buffer) -> str:
    """The numbers of a tensor as nested lists, a line for each row."""
    if x.ndim != 2:
        return json.dumps(x.tolist())
    lines = ",\n".join(f"      {row}" for row in x.tolist())
    return f"[\n{lines}\n    ]"


def check_finite(model: Model) -> None:
    """Raise NonFiniteError for weights that no text can hold."""
    for name, x in model.state().items():
        if not all(map(isfinite, flat(x))):
            raise NonFiniteError(f"{name} holds infinity or NaN, so it can't be exported. Use an earlier checkpoint")


def read_tensors(model: Model, saved: dict[str, Any]) -> Iterator[tuple[str, Buffer]]:
    """The numbers of each parameter. Raises ValueError unless they are there one for one, finite, in their shape."""
    shapes = {p.name: p.shape for p in model.parameters()}
    for name in sorted(shapes.keys() | saved.keys()):
        if name not in saved or name not in shapes:
            raise ValueError(f"{name} is {'missing' if name in shapes else 'no tensor of this model'}")
        found = tensor(saved[name], model.precision)
        if found.shape != shapes[name] or not all(map(isfinite, flat(found.data))):
            raise ValueError(f"{name} is {show_shape(found.shape)}, expected {show_shape(shapes[name])}, all finite")
        yield name, found.data
