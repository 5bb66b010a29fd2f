"""What a run would be, need and take, and whether it would begin: `microgpt run --dry-run`. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt_core.errors import DoesNotFitError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.api import examine
from microgpt_core.pipeline.folders import new_folder
from microgpt_core.pipeline.preview.forecast import Forecast
from microgpt_core.pipeline.preview.timing import training_seconds
from microgpt_core.pipeline.reading.overrides import Overrides
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import to_dict
from microgpt_core.pipeline.runs.execute import earlier_ledgers, same_run
from microgpt_core.pipeline.runs.ledger import stage_keys
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.pipeline.runs.run_folder import check_replaceable, named_folder
from microgpt_core.plugins.loader import load as load_plugins
from microgpt_core.plugins.selection import Plugins


@dataclass
class DryRun:
    """A run that isn't made."""

    run: Run  # its folder isn't there yet, but for one that has been made already
    forecast: Forecast
    refusal: str  # why memory or disk won't do; "" where they will
    seconds: float | None  # that training will take, roughly; None where it isn't known, or nothing is trained

    @property
    def pipeline(self) -> dict[str, Any]:
        """The pipeline with every default: what `resolved.yaml` would hold."""
        return to_dict(self.run.pipeline)

    def to_dict(self) -> dict[str, Any]:
        forecast = self.forecast.to_dict()
        del forecast["micro"], forecast["update"]  # every call: `microgpt plan --json` has them
        return {
            "go": not self.refusal,
            "refusal": self.refusal,
            "folder": str(self.run.folder),
            "training_seconds": self.seconds,
            "pipeline": self.pipeline,
            **forecast,
        }


def dry_run(
    pipeline: str | Path,
    overrides: Overrides = (),
    *,
    output: str | Path | None = None,
    force: bool = False,
    plugins: Plugins = (),
) -> DryRun:
    """What `run` would do with the same arguments. About two seconds of it go into measuring how fast this machine is.

    Raises what `run` would raise before it begins, but for DoesNotFitError: that is the result's `refusal`.
    """
    registry = load_plugins(builtin, plugins)
    settings = read_pipeline(pipeline, registry, overrides)
    made = Run(settings, registry, Path())
    named, keys = named_folder(output), stage_keys(made)
    done = None if force else same_run(earlier_ledgers(made, named), keys)
    made.folder = done or named or new_folder(settings.name)
    if not done:
        check_replaceable(made.folder, force)
    found, refusal, seconds = examine(made), "", None
    if "train" in settings.stages and not done:
        try:
            found.require_room(made.folder, force)
            seconds = training_seconds(made, found)
        except DoesNotFitError as error:
            refusal = str(error)
    return DryRun(made, found, refusal, seconds)
