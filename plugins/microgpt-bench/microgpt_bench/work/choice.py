"""What a candidate of microgpt computes, and by which kernels: a golden model, with what `--vary` changed in it.

Settings are read as a pipeline's are, so that what is wrong with them is said in the same words.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from microgpt_bench.candidate import Candidate
from microgpt_bench.golden import GOLDEN, OUTPUT_STD, Golden
from microgpt_bench.work.kernels import kernels_of
from microgpt_core.engine.backends import Kernels
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.runs.backends import find_kernels
from microgpt_core.plugins.loader import load

OPTION = "--vary"
ALLOWED = ("kernels.OP", "model.FIELD", "passes", "train.batch_size", "train.batching", "train.recompute")
WHOLE = ("model.use", "model.preset")  # which would be another model altogether


def choice(golden: Golden, who: Candidate) -> tuple[Golden, Kernels]:
    """The model, batches and kernels that are a candidate's. Raises ConfigurationError for settings that can't be."""
    if not who.overrides:
        return golden, kernels_of(who.use, who.precision)
    check_keys(who.overrides)
    registry, fields = load(builtin), {"use": "gpt", "init_output_std": OUTPUT_STD, **golden.fields}
    same = [f"backend={who.use}", f"precision={who.precision}", f"model={json.dumps(fields)}"]
    same += [f"train.batching={golden.batching}", f"train.batch_size={golden.rows}"]
    try:
        pipeline = read_pipeline("names", registry, [*same, *who.overrides])
    except PipelineError as error:
        placed = [replace(one, place=replace(one.place, source=OPTION)) for one in error.problems]
        raise PipelineError(placed) from error
    model, train = pipeline.model, pipeline.train
    batching = train.batching or golden.batching
    if batching != golden.batching and not golden.of_names:
        names = ", ".join(one.name for one in GOLDEN.values() if one.of_names)
        raise ConfigurationError(
            f"{OPTION} train.batching: {golden.name} reads one long text, found {batching}, allowed: "
            f"{golden.batching}; documents have {names}"
        )
    other = replace(
        golden,
        fields={**model.fields, **model.ops},
        rows=train.batch_size,
        batching=batching,
        recompute=train.recompute,
    )
    return other, find_kernels(pipeline, registry)


def check_keys(overrides: Sequence[str]) -> None:
    """Raises UnknownNameError for what a step of a golden model doesn't depend on."""
    for key in (text.partition("=")[0] for text in overrides):
        section, dot, _ = key.partition(".")
        if key in WHOLE or not (dot and section in ("kernels", "model") or key in ALLOWED):
            raise UnknownNameError(f"setting for {OPTION}", key, ALLOWED)
