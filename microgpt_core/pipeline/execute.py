"""Running a pipeline's stages in a folder: those that are done already are left as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from microgpt_core.errors import ConfigurationError, Interrupted
from microgpt_core.pipeline.ledger import Ledger
from microgpt_core.pipeline.run import Run
from microgpt_core.pipeline.run_folder import runs_of
from microgpt_core.pipeline.stage import as_stage
from microgpt_core.storage.lock import locked


def execute(run: Run, keys: Mapping[str, str]) -> None:
    """Every stage in the pipeline's order, but those whose results are there, of the same making."""
    try:
        with locked(run.folder):
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


def begin_with(stage: str, keys: Mapping[str, str], ledger: Ledger) -> None:
    """Have a stage and those after it run again. Raises ConfigurationError for one that isn't in the pipeline."""
    if stage not in keys:
        raise ConfigurationError(f"--from {stage}: the pipeline's stages are {', '.join(keys)}")
    ledger.forget(list(keys)[list(keys).index(stage) :])
