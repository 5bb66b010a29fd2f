"""Checkpoints of a golden model in the middle of its training: weights, gradients' averages, the trainer's state."""

import shutil
from pathlib import Path
from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.work.work import Work
from microgpt_core.errors import CheckpointError
from microgpt_core.saving.checkpoint import checkpoint_path, newest_checkpoint, read_checkpoint, rotate, save_checkpoint
from microgpt_core.text.char import Char
from microgpt_core.training.update import Update

TASKS = SAVE, LOAD = "save", "load"


def tasks() -> list[str]:
    """What can be measured: each golden model, and what is done with it."""
    return [f"{name} {task}" for name in GOLDEN for task in TASKS]


class Checkpoint(Work):
    """What the worker runs: a turn is what the trainer does where one is due, or what a resumed run begins with."""

    def __init__(self, who: Candidate, model: str, folder: str) -> None:
        """`model` is one of `tasks()`, `folder` where runs are: on its disk depends how long it takes."""
        name, self.task = model.split(" ")
        golden, self.tokenizer = GOLDEN[name], Char().train("ab")
        self.model, self.step = golden.build(who.precision), 0
        update = Update(self.model, golden.optimizer())
        update.allocate()
        self.state, self.folder = update.buffers(), Path(folder) / f"{name}-{self.task}-{who.environment}"
        shutil.rmtree(self.folder, ignore_errors=True)  # another process of the same candidate's
        self.save()

    def save(self) -> None:
        """Write it, have it on the disk, read it once more to verify it, and delete the one before."""
        self.step += 1
        path = checkpoint_path(self.folder, self.step)
        save_checkpoint(path, self.model, self.tokenizer, self.state, {"step": self.step}, {}, {})
        rotate(self.folder, keep=1, interval=0)

    def load(self) -> None:
        """Find it, verify it, and read it."""
        path = newest_checkpoint(self.folder)
        if path is None:
            raise CheckpointError(f"{self.folder}: the checkpoint that was just saved is gone")
        read_checkpoint(path, self.model, self.tokenizer, self.state, {})

    def run(self, n: int) -> None:
        for _ in range(n):
            self.save() if self.task == SAVE else self.load()

    def facts(self) -> dict[str, Any]:
        """The bytes of its files."""
        files = checkpoint_path(self.folder, self.step).rglob("*")
        return {"tokens": 0, "bytes": sum(file.stat().st_size for file in files if file.is_file())}
