"""Running a pipeline's stages in a folder: those that are done already are left as they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from microgpt_core.errors import ConfigurationError, Interrupted, UnknownNameError
from microgpt_core.pipeline.folders import runs_of
from microgpt_core.pipeline.runs.archive import read_environment, turned
from microgpt_core.pipeline.runs.ledger import UNFINISHED, Ledger, decisive
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.pipeline.stage import Stage, as_stage
from microgpt_core.plugins.hints import quoted

UNTRAINED = (
    "no stage trains the model and it begins with no other, so its weights are as they were drawn; add train to "
    "stages, or name a trained one: init_from: runs/NAME"
)


def execute(run: Run, keys: Mapping[str, str], again: Iterable[str] = ()) -> None:
    """Every stage in the pipeline's order, but those whose results are there, of the same making; and these `again`.

    The folder has to be locked: nobody else may be at work there.
    """
    stages = {name: as_stage(name, run.registry.get("stages", name)) for name in keys}
    ledger = Ledger(run.folder)
    if ledger.damage:
        run.reporter.headline(f"warning: {ledger.damage}; no stage counts as done")
    for name in again:
        ledger.start(name, keys[name])
    if not ("train" in keys or run.pipeline.init_from) and any("train" in stage.after for stage in stages.values()):
        run.reporter.headline(UNTRAINED)
    try:
        for name, stage in stages.items():
            execute_stage(run, name, stage, keys[name], ledger)
    except Interrupted as stopped:
        advice = f"nothing is lost; to go on: microgpt run --resume {quoted(run.folder)}"
        raise Interrupted(stopped.signal, advice) from None


def execute_stage(run: Run, name: str, stage: Stage, key: str, ledger: Ledger) -> None:
    """One stage, unless it is done."""
    reason = ledger.stale(name, key)
    if not reason:
        run.results[name] = ledger.result(name)
        run.reporter.headline(f"{name}: done already, in {run.folder}; nothing that it depends on has changed")
        return
    if reason != UNFINISHED:
        again = "goes on" if name == "train" and run.saved else "is run again"
        run.reporter.headline(f"{name}: it {reason}, so it {again}")
    ledger.start(name, key)
    run.results[name] = as_json(run, name, stage(run))
    ledger.record(name, key, run.results[name], stage.writes)
    run.reporter.done()


def as_json(run: Run, name: str, result: Any) -> Any:
    """What a stage returned, as it will be read from the ledger. Raises ConfigurationError for what JSON can't hold."""
    try:
        return json.loads(json.dumps(result))
    except (TypeError, ValueError, RecursionError) as error:
        origin = run.registry.find("stages", name)[0].origin
        raise ConfigurationError(
            f"stage {name!r} of {origin} returned {shortened(result)}, which can't be kept as JSON ({error}); allowed: "
            "None, true and false, numbers, texts, lists, and dictionaries of those whose keys are texts"
        ) from error


def earlier_ledgers(run: Run, output: Path | None) -> list[Ledger]:
    """Of the runs that may be the same one, the newest first. A damaged one is passed over, with a warning."""
    ledgers = [Ledger(folder) for folder in (runs_of(run.pipeline.name) if output is None else [output])]
    for ledger in ledgers:
        if ledger.damage:
            run.reporter.headline(
                f"warning: {ledger.damage}; passed over. To mend it: --resume {quoted(ledger.folder)}"
            )
    return [ledger for ledger in ledgers if not ledger.damage]


def same_run(ledgers: list[Ledger], keys: Mapping[str, str]) -> Path | None:
    """The folder of a run whose decisive stage is done and would give the same again; None where there is none."""
    stage = decisive(keys)
    done = (ledger for ledger in ledgers if is_same(ledger, keys) and not ledger.stale(stage, keys[stage]))
    return next((ledger.folder for ledger in done), None)


def is_same(ledger: Ledger, keys: Mapping[str, str]) -> bool:
    """Whether a folder was made for this run, and was this one from its first step."""
    return ledger.began(keys) and not turned(read_environment(ledger.folder, []))


def stopped_run(ledgers: list[Ledger], keys: Mapping[str, str]) -> str:
    """Which run is the same, why it can't be taken as it is, and how to go on with it; "" where there is none."""
    stage = decisive(keys)
    for ledger in ledgers:
        if is_same(ledger, keys):
            why = f"its stage {stage} {ledger.stale(stage, keys[stage])}"
            return f"{ledger.folder} is the same run, but {why}; to go on with it: --resume {quoted(ledger.folder)}"
    return ""


def from_stage(stage: str | None, keys: Mapping[str, str]) -> list[str]:
    """A stage and those after it; none of None. Raises UnknownNameError for one that isn't in the pipeline."""
    if stage is None:
        return []
    if stage not in keys:
        raise UnknownNameError("stage to begin with", stage, keys)
    return list(keys)[list(keys).index(stage) :]
