"""A checkpoint: a model folder with the optimizer's state and the trainer's, whole or not at all."""

import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microgpt_core.components import Buffer, Tokenizer
from microgpt_core.errors import CheckpointError, StorageError
from microgpt_core.models.model import Model
from microgpt_core.saving.model_folder import (
    CONFIG,
    TOKENIZER,
    WEIGHTS,
    copy_tensors,
    read_config,
    read_json,
    write_json,
    write_model,
)
from microgpt_core.storage.atomic import atomic_folder
from microgpt_core.storage.manifest import verify_folder
from microgpt_core.storage.safetensors import write_safetensors

STEP = re.compile(r"step-(\d{6,})")
OPTIMIZER, BEST, TRAINER = "optimizer.safetensors", "best.safetensors", "trainer.json"
logger = logging.getLogger(__name__)


def save_model(path: Path, model: Model, tokenizer: Tokenizer, about: dict[str, str]) -> None:
    """A model folder, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(path) as folder:
        write_model(folder, model, tokenizer, about)


def save_checkpoint(
    path: Path,
    model: Model,
    tokenizer: Tokenizer,
    state: Mapping[str, Buffer],
    trainer: dict[str, Any],
    about: dict[str, str],
    best: Mapping[str, Buffer],
) -> None:
    """A model folder with the optimizer's state, the trainer's and the best weights so far, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(path) as folder:
        write_model(folder, model, tokenizer, about)
        for name, tensors in ((OPTIMIZER, state), (BEST, best)):
            if tensors:
                write_safetensors(folder / name, tensors)
        write_json(folder / TRAINER, trainer)


def read_checkpoint(
    path: Path, model: Model, tokenizer: Tokenizer, state: Mapping[str, Buffer], best: Mapping[str, Buffer]
) -> dict[str, Any]:
    """Fill a model, an optimizer's state and the best weights from a checkpoint; returns the trainer's state.

    Raises CheckpointError for a damaged one, and one of another model or another optimizer: then nothing is changed.
    """
    saved, ours = read_config(path)["model"], {"use": model.use, **model.config()}
    if differing := [key for key in saved.keys() | ours.keys() if saved.get(key) != ours.get(key)]:
        key = min(differing)
        raise CheckpointError(f"{path / CONFIG}: {key} is {saved.get(key)!r}, but the run says {ours.get(key)!r}")
    if read_json(path / TOKENIZER) != tokenizer.to_dict():
        raise CheckpointError(f"{path / TOKENIZER}: this is another tokenizer than the run's")
    progress = read_json(path / TRAINER)
    wanted: dict[str, Mapping[str, Buffer]] = {WEIGHTS: model.state()}
    if state or (path / OPTIMIZER).is_file():
        wanted[OPTIMIZER] = state
    if (path / BEST).is_file():
        wanted[BEST] = best
    copy_tensors(path, wanted)
    return progress


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / "checkpoints" / f"step-{step:06d}"


def step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def checkpoints(folder: Path) -> list[Path]:
    """The numbered checkpoints of a run, oldest first."""
    return sorted((path for path in folder.glob("checkpoints/*") if STEP.fullmatch(path.name)), key=step_of)


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run that is whole; None where there is none.

    A damaged one is told in a warning, and its folder renamed, so that it is in nobody's way.
    """
    for path in reversed(checkpoints(folder)):
        try:
            verify_folder(path)
            return path
        except CheckpointError as error:
            aside = path.with_name(f"damaged-{path.name}")
            logger.warning("%s. It is %s now; going back to the one before", error, aside)
            move(path, aside)
    return None


def rotate(folder: Path, keep: int, interval: int) -> None:
    """Delete all but the newest `keep` numbered checkpoints, once the newest has been verified.

    Older ones that no `interval` asked for go first: those of an interrupted run.
    """
    *older, newest = checkpoints(folder)
    verify_folder(newest)
    kept = [path for path in older if step_of(path) % (interval or 1) == 0][-keep + 1 :] if keep > 1 else []
    for old in older:
        if old not in kept:
            try:
                shutil.rmtree(old)
            except OSError as error:
                what = f"can't delete the old checkpoint {old}: {error.strerror}"
                raise StorageError(what, error.errno) from error


def move(path: Path, aside: Path) -> None:
    try:
        if aside.exists():
            shutil.rmtree(aside)
        os.replace(path, aside)
    except OSError as error:
        raise StorageError(f"can't rename {path}: {error.strerror}", error.errno) from error
