"""What a program calls: run a pipeline, load a model. The command line does the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from microgpt_core.errors import ConfigurationError, DoesNotFitError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.models.folder import read_config
from microgpt_core.models.presets import PRESETS
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.forecast import Forecast, forecast
from microgpt_core.pipeline.overrides import Overrides
from microgpt_core.pipeline.read import read_pipeline
from microgpt_core.pipeline.run import Reporter, Run
from microgpt_core.pipeline.run_folder import RESOLVED, choose_folder, find_run, make_folder, model_folder
from microgpt_core.plugins.loader import load as load_plugins
from microgpt_core.plugins.selection import Plugins


def run(
    pipeline: str | Path,
    overrides: Overrides = (),
    *,
    output: str | Path | None = None,
    force: bool = False,
    plugins: Plugins = (),
    reporter: Reporter | None = None,
) -> Run:
    """Run a pipeline: a YAML file's path, or the name of one inside the package, such as "names".

    `overrides` change its values ({"train.max_steps": 100}); `output` is the run's folder, by default the
    next `runs/<name>-<n>`; `plugins` are Python files whose components it may name, and a `Without` for each
    installed pack to leave out. Raises PipelineError with everything that is wrong in the file, before anything
    has been written, and DoesNotFitError where memory or disk won't do, unless `force` (which also replaces the
    run in `output`) says to start anyway.
    """
    registry = load_plugins(builtin, plugins)
    settings = read_pipeline(pipeline, registry, overrides)
    folder = choose_folder(settings.name, None if output is None else Path(output), force)
    made = Run(settings, registry, folder, reporter or Reporter())
    check(made, force)
    make_folder(folder, settings, registry)
    made.execute()
    return made


def check(run: Run, force: bool = False) -> None:
    """Raise what a stage would raise only later, before a folder is made or a minute is spent.

    With `force` the run may be larger than the memory and the disk that are free.
    """
    _ = run.batches.batch(0), run.validation  # what is wrong with the data
    found = predict(run)  # an op that its backend can't run
    if run.batching == "packed" and not found.model.separates_documents:
        raise ConfigurationError(
            "train.batching: packed puts documents side by side, but the model's attention takes no positions to keep "
            "them apart; use documents"
        )
    if "train" in run.pipeline.stages:
        try:
            found.require_room(run.folder)
        except DoesNotFitError as error:
            if not force:
                raise
            run.reporter.headline(f"started by --force, though {error}")
    if "evaluate" in run.pipeline.stages and not run.validation:
        raise ConfigurationError(
            "stage `evaluate` needs held-out text; set dataset.validation to a share such as 0.1, or leave it out"
        )
    _ = run.network


def plan(
    pipeline: str | Path | None = None,
    overrides: Overrides = (),
    *,
    vocab_size: int | None = None,
    plugins: Plugins = (),
) -> Forecast:
    """What a pipeline, or the run in a folder, will compute and need. Its text is read, no memory is taken.

    Without a pipeline: a model with every default, or of a preset, which then has the vocabulary that it was made
    for; no text is read.
    """
    registry = load_plugins(builtin, plugins)
    resolved = Path(pipeline or "names") / RESOLVED
    if resolved.is_file():  # a run: what it was trained from may be gone, and what it became is known
        made_model = Path(pipeline or "") / "model"
        if (made_model / "config.json").is_file():
            vocab_size = vocab_size or read_config(made_model)["model"]["vocab_size"]
        settings = read_pipeline(resolved, registry, by_itself(overrides))
    else:
        settings = read_pipeline(pipeline or "names", registry, overrides)
    made = Run(settings, registry, Path())
    if pipeline is None and settings.model.preset:
        vocab_size = vocab_size or PRESETS[settings.model.preset].vocab_size
    if vocab_size is not None:
        return forecast(settings, registry, vocab_size, made.batching)
    return predict(made)


def predict(run: Run) -> Forecast:
    """What a run will compute and need; its text is read for it, and no memory taken."""
    _, held_out = run.batches, bool(run.validation)
    return forecast(run.pipeline, run.registry, run.tokenizer.vocab_size, run.batching, held_out)


def load(model: str | Path, plugins: Plugins = ()) -> LanguageModel:
    """A trained model: a model's or a run's folder, a run's name, or "latest"."""
    return LanguageModel.load(model_folder(find_run(str(model))), load_plugins(builtin, plugins).get)


def held_out(model: str, plugins: Plugins = ()) -> tuple[LanguageModel, float]:
    """A run's model, and its loss on the text that the run held out. Raises ConfigurationError where there is none."""
    folder, registry = find_run(model), load_plugins(builtin, plugins)
    language_model = LanguageModel.load(model_folder(folder), registry.get)
    resolved = folder / RESOLVED
    if not resolved.is_file():
        raise ConfigurationError(f"{folder} isn't a run, so nothing was held out; name a text: --text FILE")
    made = Run(read_pipeline(resolved, registry, by_itself()), registry, folder)
    if not made.documents["validation"]:
        raise ConfigurationError(f"the run in {folder} held nothing out (dataset.validation is 0); use --text FILE")
    batch_size = made.pipeline.train.batch_size
    return language_model, language_model.loss(made.documents["validation"], made.batching, batch_size)


def by_itself(overrides: Overrides = ()) -> Overrides:
    """Overrides with which a run that was made is read again, though what it began with may be gone."""
    if isinstance(overrides, Mapping):
        return {"init_from": None, **overrides}
    return ["init_from=null", *overrides]
