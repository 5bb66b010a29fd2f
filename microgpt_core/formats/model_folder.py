"""The format `safetensors`: the folder that a run keeps its model in, to train on from or to read elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from microgpt_core.components import Format, Tokenizer
from microgpt_core.models.model import Model
from microgpt_core.saving.checkpoint import save_model
from microgpt_core.saving.model_folder import Find, read_model


@dataclass
class ModelFolder(Format):
    """A folder of `config.json`, `model.safetensors` and `tokenizer.json`."""

    name: ClassVar[str] = "safetensors"
    suffix: ClassVar[str] = ""

    def write(self, model: Model, tokenizer: Tokenizer, path: Path) -> None:
        save_model(path, model, tokenizer, {})

    def read(self, path: Path, find: Find) -> tuple[Model, Tokenizer]:
        return read_model(path, find)
