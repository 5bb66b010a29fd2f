"""Going on with a run: which settings leave it the same run, and which of them a further step would use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.folders import RESOLVED
from microgpt_core.pipeline.reading.overrides import Overrides
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import Pipeline, to_dict
from microgpt_core.pipeline.runs.archive import given
from microgpt_core.pipeline.runs.differences import differing
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.plugins.registry import Registry
from microgpt_core.saving.checkpoint import STEP

# What makes a run another one, should it change: sections, and single keys of others.
FIXED = (
    "name", "seed", "precision", "init_from", "freeze", "dataset", "transforms", "tokenizer", "model",
    "train.batch_size", "train.batching", "train.shuffle", "train.accumulation", "train.restore_best",
)  # fmt: skip
OF_A_STEP = ("train", "optimizer", "schedule", "analyzers", "callbacks")  # sections that nothing else uses
Changes = Mapping[str, list[Any]]  # dotted key -> what it was, what it is


def settings_of(folder: Path, registry: Registry, overrides: Overrides) -> tuple[Pipeline, Changes]:
    """The pipeline of a run with overrides that leave it the same run, and what they change."""
    before, after = (read_pipeline(folder / RESOLVED, registry, changes) for changes in ((), overrides))
    changes = differing(to_dict(before), to_dict(after))
    for key, (was, now) in changes.items():
        section = key.partition(".")[0]
        if key in FIXED or section in FIXED or (section == "optimizer" and key.endswith(".use")):
            raise ConfigurationError(
                f"--set {key}: {folder} was begun with {was!r}, and can't go on with {now!r}; begin a new run, perhaps "
                f"with this one's model: init_from: {folder}"
            )
    if "train" in before.stages and "train" not in after.stages:
        raise ConfigurationError(
            f"--set stages: {folder} is a run that trains; leave train in, which isn't done again where it is done"
        )
    return after, changes


def require_use(run: Run, trained: Any, changes: Changes) -> None:
    """Raise ConfigurationError for an end that is past, and for settings that no further step would use.

    `trained` is what the stage `train` returned, if it is done.
    """
    trained, settings = trained if isinstance(trained, dict) else {}, run.pipeline.train
    checkpoint = STEP.fullmatch(run.saved.name) if run.saved else None
    made = given(trained, "steps", int, int(checkpoint[1]) if checkpoint else 0)
    most = settings.most_steps(run.batches.per_epoch)
    limit = "train.max_steps" if settings.max_steps == most else "train.epochs"
    if most is not None and most < made:
        raise ConfigurationError(
            f"{limit}: {run.folder} has made {made} steps, so it can't end after {most}; let it be {made} steps or "
            "more, or begin a new run"
        )
    unused = [key for key in changes if key.partition(".")[0] in OF_A_STEP]
    ended_by = given(trained, "stopped_by", str, "")
    if unused and ended_by and not prolonged(ended_by, changes, most is None or most > made):
        end = {"max_steps": limit, "minutes": "train.minutes", "patience": "train.patience"}.get(ended_by, "callbacks")
        raise ConfigurationError(
            f"--set {', '.join(unused)}: {run.folder} is trained, by {ended_by} after {made} steps, and no further "
            f"step would use it; change {end} as well, so that there is one, or begin a new run"
        )


def prolonged(ended_by: str, changes: Changes, more_steps: bool) -> bool:
    """Whether training that has come to its end would go on with these changes."""
    if ended_by == "max_steps":
        return more_steps
    if ended_by in ("minutes", "patience"):
        was, now = changes.get(f"train.{ended_by}", (0, 0))
        return now is None or now > was
    return "callbacks" in changes
