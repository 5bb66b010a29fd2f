"""Runs side by side: what differs in what they were made of, and in what came out of them."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from microgpt_core.pipeline.runs import archive
from microgpt_core.pipeline.runs.differences import differing
from microgpt_core.pipeline.runs.ledger import file_sum
from microgpt_core.pipeline.runs.provenance import as_recorded
from microgpt_core.saving.metrics_log import METRICS, TIMINGS

MODEL = "model/model.safetensors"
MEASURED_ON = ("data", "tokenizer")  # what has to be the same for losses to say which run is better


def compare(folders: Sequence[Path]) -> dict[str, Any]:
    """What differs between runs, and how far each came. Lists have a place for each run, in the order of the folders.

    `settings` and `environment` hold only what differs. `losses` are those of the validation, by each step at which
    all were evaluated; of the training, where there is no such step. `comparable`: whether they are of the same text
    and tokens; `better`: the run with the lowest. `turned`: since when a run went on otherwise than it began, "" of one
    that didn't; `same_making`: whether all that decides a model's bits is known to be the same; `same_bits`: whether
    the bits are, None where a run has no model.
    """
    problems: list[str] = []
    records = [archive.read_run(folder) for folder in folders]
    settings = differing(*(archive.read_settings(folder, problems) | {"name": ""} for folder in folders))
    recorded = [archive.read_environment(folder, problems) for folder in folders]
    environments, turned = differing(*map(as_recorded, recorded)), [archive.turned(found) for found in recorded]
    logs = [archive.read_log(folder / METRICS, problems) for folder in folders]
    runs = [record.to_dict() | outcome(record, log) for record, log in zip(records, logs)]
    trained = [archive.given(archive.read_stages(folder, []) or {}, "train", dict, {}) for folder in folders]
    keys = {archive.given(entry, "key", str, None) for entry in trained}
    sums = {run["model_sha256"] for run in runs}
    comparable = not any(key.partition(".")[0] in MEASURED_ON for key in (*settings, *environments))
    ranked = sorted((run for run in runs if run["val_loss"] is not None), key=lambda run: float(run["val_loss"]))
    metric, losses = common_losses(logs)
    return {
        "runs": runs,
        "settings": settings,
        "environment": environments,
        "metric": metric,
        "losses": losses,
        "comparable": comparable,
        "better": ranked[0]["name"] if comparable and len(ranked) == len(runs) else None,
        "turned": turned,
        "same_making": len(keys) == 1 and None not in keys and not any(turned),
        "same_bits": None if None in sums else len(sums) == 1,
        "problems": list(dict.fromkeys(problem for record in records for problem in (*record.problems, *problems))),
    }


def outcome(record: archive.Record, log: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What came out of one run, besides what its record says."""
    model, timings = record.folder / MODEL, archive.read_log(record.folder / TIMINGS, [])
    speeds = [line["tokens_per_s"] for line in timings if "tokens_per_s" in line]
    evaluated = [line[archive.VAL_LOSS] for line in log if archive.VAL_LOSS in line]
    return {
        "train_loss": log[-1].get(archive.TRAIN_LOSS) if log else None,
        "final_val_loss": evaluated[-1] if evaluated else None,
        "tokens_per_s": median(speeds) if speeds else None,
        "model_sha256": file_sum(model) if model.is_file() else None,
    }


def common_losses(logs: Sequence[Sequence[dict[str, Any]]]) -> tuple[str, dict[int, list[float]]]:
    """The metric that the runs have in common, and its values by step."""
    for metric in (archive.VAL_LOSS, archive.TRAIN_LOSS):
        sides = [{line["step"]: line[metric] for line in log if metric in line} for log in logs]
        if steps := sorted(set(sides[0]).intersection(*sides[1:])):
            return metric, {step: [side[step] for side in sides] for step in steps}
    return archive.VAL_LOSS, {}
