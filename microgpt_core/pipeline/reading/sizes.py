"""Sizes that can't be meant are refused by arithmetic, before a batch or a tensor of them is made.

What is merely too large for this machine is the forecast's to refuse: it knows how much is free here.
"""

from math import prod

from microgpt_core.errors import DoesNotFitError
from microgpt_core.pipeline.reading.problems import Problem
from microgpt_core.pipeline.reading.settings import SUPPLIED, Pipeline
from microgpt_core.pipeline.reading.yaml_reader import Document

MOST_NUMBERS = 10**13  # more than any model that was ever trained has learned
MOST_BATCH_TOKENS = 1 << 22  # what GPT-3 read in a whole step
MOST_STEP_TOKENS = 1 << 30
MOST_SAMPLES = 10**7


def check_sizes(document: Document, pipeline: Pipeline) -> None:
    """Raise DoesNotFitError for what no machine would get through, placed at the key that makes it so much."""
    train, model = pipeline.train, pipeline.build_model(**SUPPLIED["model"])
    fields = {f"model.{name}": n for name, n in pipeline.model.fields.items() if isinstance(n, int)}
    batch = {"train.batch_size": train.batch_size, "model.block_size": model.block_size}
    step = batch | {"train.accumulation": train.accumulation}
    samples = len(pipeline.generate.prompts) * pipeline.generate.num_samples
    require_fewer(document, "numbers to learn", model.n_parameters, MOST_NUMBERS, batch | fields)
    require_fewer(document, "tokens in a batch", prod(batch.values()), MOST_BATCH_TOKENS, batch)
    require_fewer(document, "tokens in a step", prod(step.values()), MOST_STEP_TOKENS, step)
    require_fewer(document, "samples", samples, MOST_SAMPLES, {"generate.num_samples": pipeline.generate.num_samples})


def require_fewer(document: Document, what: str, found: int, most: int, sizes: dict[str, int]) -> None:
    """Raise DoesNotFitError where there is more of something than allowed; the largest of the `sizes` is the cause."""
    if found > most:
        cause = max(sizes, key=lambda key: sizes[key])
        said = f"found {sizes[cause]:,}, which makes {found:,} {what}; allowed: up to {most:,} of them"
        raise too_large(document, cause, said)


def too_large(document: Document, key: str, said: str) -> DoesNotFitError:
    """The refusal of a key's value, with its place."""
    return DoesNotFitError(str(Problem(document.where(tuple(key.split("."))), f"{key}: {said}")))
