"""A trained model by its name: loaded, written as a file, measured on what its run held out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.folders import RESOLVED, find_run, model_folder
from microgpt_core.pipeline.reading.overrides import Overrides
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.runs.backends import find_kernels
from microgpt_core.pipeline.runs.formats import find_format, reader_of, write_as
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.plugins.hints import install_command
from microgpt_core.plugins.loader import load as load_plugins
from microgpt_core.plugins.registry import Registry
from microgpt_core.plugins.selection import Plugins
from microgpt_core.saving.model_folder import read_config
from microgpt_core.training.loss import BatchLoss

HOW = ("backend", "kernels", "passes", "precision")  # of a pipeline's settings, those that change no weight


def load(model: str | Path, plugins: Plugins = (), **how: Any) -> LanguageModel:
    """A trained model: a model's or a run's folder, a run's name, "latest", or a file such as `export` writes.

    `how` it computes are settings as a pipeline has them: backend="numpy", precision="bfloat16", passes=[],
    kernels={"attention": "reference"}. Without them: as fast as what is installed can, in the model's own precision.
    """
    registry = load_plugins(builtin, plugins)
    return load_from(registry, model, kernels_for(registry, how))


def kernels_for(registry: Registry, how: Mapping[str, Any]) -> Kernels:
    """The kernels that a pipeline of these settings has. Raises PipelineError for a value that there isn't."""
    for setting in how:
        if setting not in HOW:
            raise UnknownNameError("setting to load a model with", setting, HOW)
    if how.get("precision") == "float64":
        raise ConfigurationError("a model keeps the format that it was saved in; precision: float32 or bfloat16")
    return find_kernels(read_pipeline("names", registry, dict(how)), registry)


def load_from(registry: Registry, model: str | Path, kernels: Kernels = REFERENCE) -> LanguageModel:
    """As `load`, with the components of a registry."""
    path = Path(model)
    if path.is_file():
        return LanguageModel(*reader_of(registry, path).read(path, registry.get), kernels)
    folder = model_folder(find_run(str(model)))
    try:
        return LanguageModel.load(folder, registry.get, kernels)
    except UnknownNameError as error:
        if not (missing := missing_packs(folder, registry)):
            raise
        raise ConfigurationError(f"{folder} was made with what isn't here: {'; '.join(missing)} ({error})") from error


def missing_packs(folder: Path, registry: Registry) -> list[str]:
    """The packs that a model was made with and that can't be used now, each with what would bring it."""
    made_by = str(read_config(folder).get("about", {}).get("made by", ""))
    here = {pack.label.partition(" ")[0] for pack in registry.packs if pack.state == "ok"}
    absent = [label for label in made_by.split(", ") if label and label.partition(" ")[0] not in here]
    fixes = (f"--plugin {x}" if x.endswith(".py") else install_command(x.partition(" ")[0]) for x in absent)
    return [f"{label}: {fix}" for label, fix in zip(absent, fixes)]


def export(
    model: LanguageModel | str | Path,
    format: str = "python",
    output: str | Path | None = None,
    *,
    force: bool = False,
    plugins: Plugins = (),
) -> Path:
    """Write a model, or what `load` finds by a name, as a file of a format. Returns the file's path.

    Without `output` it stands in the current folder, under the run's name. Raises UnknownNameError for a format that
    isn't there, ConfigurationError for a model that it can't hold, and where a file is there already without `force`.
    """
    registry = load_plugins(builtin, plugins)
    form = find_format(registry, format)
    trained = model if isinstance(model, LanguageModel) else load_from(registry, model)
    if output is None:
        output = f"{'model' if isinstance(model, LanguageModel) else name_of(model)}{form.suffix}"
    write_as(form, trained.model, trained.tokenizer, Path(output), force)
    return Path(output)


def name_of(model: str | Path) -> str:
    """What to call something that is made of a model: as its run, its folder or its file is called."""
    return Path(model).stem if Path(model).is_file() else find_run(str(model)).absolute().name


def held_out(model: str, plugins: Plugins = ()) -> tuple[LanguageModel, float]:
    """A run's model, and its loss on the text that the run held out. Raises ConfigurationError where there is none."""
    registry = load_plugins(builtin, plugins)
    language_model = load_from(registry, model, kernels_for(registry, {}))
    return language_model, held_out_loss(language_model, model, registry)


def held_out_loss(language_model: LanguageModel, run: str, registry: Registry) -> float:
    """The loss of any model on the text that a run held out, in batches like the run's."""
    folder = Path(run) if Path(run).is_file() else find_run(run)
    if not (resolved := folder / RESOLVED).is_file():
        raise ConfigurationError(f"{folder} isn't a run, so nothing was held out; name a text: --text FILE")
    made = Run(read_pipeline(resolved, registry, by_itself()), registry, folder)
    if not made.corpus.amounts["validation"]:
        raise ConfigurationError(f"the run in {folder} held nothing out (dataset.validation is 0); use --text FILE")
    if made.corpus.tokens:
        return BatchLoss(language_model.model, kernels=language_model.kernels).evaluate(made.validation)
    return language_model.loss(list(made.documents["validation"]), made.batching, made.pipeline.train.batch_size)


def by_itself(overrides: Overrides = ()) -> Overrides:
    """Overrides with which a run that was made is read again, though what it began with may be gone."""
    if isinstance(overrides, Mapping):
        return {"init_from": None, **overrides}
    return ["init_from=null", *overrides]
