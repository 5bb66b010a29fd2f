"""Whether a pipeline would begin, found out without training or writing anything: `microgpt check`."""

from pathlib import Path

from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.api import examine
from microgpt_core.pipeline.reading.overrides import Overrides
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.plugins.loader import load as load_plugins
from microgpt_core.plugins.selection import Plugins


def check(pipeline: str | Path, overrides: Overrides = (), *, plugins: Plugins = ()) -> Run:
    """The run that a pipeline describes, not begun. Raises what `run` would, but for a lack of memory or disk."""
    registry = load_plugins(builtin, plugins)
    made = Run(read_pipeline(pipeline, registry, overrides), registry, Path())
    examine(made)
    return made


def about(run: Run) -> str:
    """What a pipeline is, in a line."""
    pipeline, corpus = run.pipeline, run.corpus
    settings = pipeline.train
    most = settings.most_steps(run.batches.per_epoch)
    steps = counted(most, "step") if most else f"{settings.minutes:g} minutes"
    held_out = f" and {corpus.amounts['validation']:,} held out" if corpus.amounts["validation"] else ""
    model = f"{pipeline.model.name} of {pipeline.build_model(run.tokenizer.vocab_size).n_parameters:,} parameters"
    data = f"{corpus.amount('train')} of {pipeline.dataset.name}{held_out}"
    return f"{pipeline.name} is right: {model}, {data}, {steps}; stages: {', '.join(pipeline.stages)}"


def counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"
