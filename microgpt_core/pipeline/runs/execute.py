"""Running a pipeline's stages in a folder: those that are done already are left as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from microgpt_core.errors import Interrupted, UnknownNameError
from microgpt_core.pipeline.folders import runs_of
from microgpt_core.pipeline.runs.ledger import Ledger
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.pipeline.stage import as_stage
from microgpt_core.storage.lock import locked


def execute(run: Run, keys: Mapping[str, str], first: Callable[[], None] = lambda: None) -> None:
    """Every stage in the pipeline's order, but those whose results are there, of the same making.

    `first` writes down what changes, once nobody else is at work in the folder.
    """
    try:
        with locked(run.folder):
            first()
            for name, key in keys.items():
                execute_stage(run, name, key, Ledger(run.folder))
    except Interrupted as stopped:
        advice = f"nothing is lost; to go on: microgpt run --resume {run.folder}"
        raise Interrupted(stopped.signal, advice) from None


def execute_stage(run: Run, name: str, key: str, ledger: Ledger) -> None:
    """One stage, unless it is done."""
    if ledger.stale(name, key):
        stage = as_stage(name, run.registry.get("stages", name))
        run.results[name] = stage(run)
        ledger.record(name, key, run.results[name], stage.writes)
        run.reporter.done()
    else:
        run.results[name] = ledger.result(name)
        run.reporter.headline(f"{name}: nothing has changed since {run.folder}, so it is left as it is")


def same_run(name: str, keys: Mapping[str, str], output: Path | None) -> Path | None:
    """The folder of a run whose first stage is done and would give the same again; None where there is none."""
    first = next(iter(keys))
    folders = runs_of(name) if output is None else [output]
    return next((folder for folder in folders if not Ledger(folder).stale(first, keys[first])), None)


def stopped_run(name: str, keys: Mapping[str, str]) -> Path | None:
    """The folder of a run that is the same and was never finished."""
    return next((folder for folder in runs_of(name) if Ledger(folder).began(keys)), None)


def from_stage(stage: str, keys: Mapping[str, str]) -> list[str]:
    """A stage and those after it. Raises UnknownNameError for one that isn't in the pipeline."""
    if stage not in keys:
        raise UnknownNameError("stage to begin with", stage, keys)
    return list(keys)[list(keys).index(stage) :]
