"""A checkpoint: a model folder with the optimizer's state and the trainer's, whole or not at all."""

import re
import shutil
from pathlib import Path
from typing import Any

from microgpt_core.components import Tokenizer
from microgpt_core.errors import StorageError
from microgpt_core.models.folder import write_json, write_model
from microgpt_core.models.model import Model
from microgpt_core.storage.atomic import atomic_folder
from microgpt_core.storage.manifest import verify_folder
from microgpt_core.storage.safetensors import write_safetensors
from microgpt_core.training.update import Update

STEP = re.compile(r"step-(\d{6,})")


def save_model(path: Path, model: Model, tokenizer: Tokenizer, about: dict[str, str]) -> None:
    """A model folder, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(path) as folder:
        write_model(folder, model, tokenizer, about)


def save_checkpoint(
    path: Path, model: Model, tokenizer: Tokenizer, update: Update, trainer: dict[str, Any], about: dict[str, str]
) -> None:
    """A model folder with `optimizer.safetensors` and `trainer.json` in it, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(path) as folder:
        write_model(folder, model, tokenizer, about)
        if update.state:
            write_safetensors(folder / "optimizer.safetensors", update.buffers())
        write_json(folder / "trainer.json", trainer)


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / "checkpoints" / f"step-{step:06d}"


def checkpoints(folder: Path) -> list[Path]:
    """The numbered checkpoints of a run, oldest first."""
    found = [path for path in folder.glob("checkpoints/*") if STEP.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def rotate(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` numbered checkpoints, once the newest has been verified."""
    *_, newest = saved = checkpoints(folder)
    verify_folder(newest)
    for old in saved[:-keep]:
        try:
            shutil.rmtree(old)
        except OSError as error:
            raise StorageError(f"can't delete the old checkpoint {old}: {error.strerror}", error.errno) from error
