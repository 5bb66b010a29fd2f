"""Who is told of each step of a training, and may ask for a checkpoint or for the end of it."""

from collections.abc import Mapping
from typing import Any, ClassVar


class Callback:
    """Is told of each step. It keeps no state of a training: a run that goes on makes a new one."""

    name: ClassVar[str]

    def on_step(self, metrics: Mapping[str, Any]) -> str | None:
        """Called after a step with its line of `metrics.jsonl`: `step`, `tokens`, `train/loss`, `val/loss` where it was
        evaluated, `lr`, `grad_norm`. "save" asks for a checkpoint of it, "stop" for the end; None for nothing.
        """
        raise NotImplementedError
