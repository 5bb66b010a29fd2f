"""What a program calls: run a pipeline, load a model. The command line does the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from microgpt_core.errors import ConfigurationError, DataError, DoesNotFitError, UnknownNameError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.models.presets import PRESETS
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.folders import RESOLVED, find_run, model_folder, new_folder
from microgpt_core.pipeline.preview.forecast import Forecast, forecast
from microgpt_core.pipeline.reading.overrides import Overrides
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import Pipeline, to_dict
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.pipeline.runs.execute import execute, from_stage, same_run, stopped_run
from microgpt_core.pipeline.runs.formats import find_format, reader_of, write_as
from microgpt_core.pipeline.runs.ledger import Ledger, stage_keys
from microgpt_core.pipeline.runs.provenance import environment, git_state, note_changes
from microgpt_core.pipeline.runs.run import Reporter, Run
from microgpt_core.pipeline.runs.run_folder import check_replaceable, make_folder, record, write
from microgpt_core.pipeline.runs.signals import Signals
from microgpt_core.plugins.hints import install_command
from microgpt_core.plugins.loader import load as load_plugins
from microgpt_core.plugins.registry import Registry
from microgpt_core.plugins.selection import Plugins
from microgpt_core.saving.checkpoint import newest_checkpoint
from microgpt_core.saving.model_folder import read_config
from microgpt_core.storage.atomic import remove_stale

# What makes a run another one, should it change.
FIXED = (
    "name", "seed", "precision", "init_from", "freeze", "dataset", "tokenizer", "model", "optimizer.use",
    "train.batch_size", "train.batching", "train.shuffle", "train.accumulation",
)  # fmt: skip


def run(
    pipeline: str | Path,
    overrides: Overrides = (),
    *,
    output: str | Path | None = None,
    force: bool = False,
    start: str | None = None,
    plugins: Plugins = (),
    reporter: Reporter | None = None,
) -> Run:
    """Run a pipeline: a YAML file's path, or the name of one inside the package, such as "names".

    `overrides` change its values ({"train.max_steps": 100}); `output` is the run's folder, by default the
    next `runs/<name>-<n>`; `plugins` are Python files whose components it may name, and a `Without` for each
    installed pack to leave out. Stages that an earlier run has done, with the same settings, text and code, aren't
    done again: the run is then that one. `start` names the first stage to run in spite of that; `force` makes a new
    run (in `output`, in place of the one there), even where memory or disk won't do.

    Raises PipelineError with everything that is wrong in the file, before anything has been written,
    DoesNotFitError where memory or disk won't do, and Interrupted after Ctrl-C or SIGTERM.
    """
    with Signals() as signals:
        registry = load_plugins(builtin, plugins)
        settings = read_pipeline(pipeline, registry, overrides)
        made = Run(settings, registry, Path(), reporter or Reporter(), signals=signals)
        keys = stage_keys(made)
        named = None if output is None else Path(output)
        again = from_stage(start, keys) if start is not None else []
        same = None if force or "train" in again else same_run(settings.name, keys, named)
        if same is not None:
            made.folder, made.saved = same, same / "model"
            execute(made, keys, partial(ask_again, same, settings, again))
            return made
        if start is not None and start != next(iter(keys)):
            raise ConfigurationError(f"--from {start}: no run has done what comes before it; leave it out")
        if stopped := None if force or named else stopped_run(settings.name, keys):
            made.reporter.headline(f"{stopped} is the same run, stopped; to go on with it: --resume {stopped}")
        made.folder = named or new_folder(settings.name)
        begin(made, keys, Path(pipeline).parent, force)
        return made


def ask_again(folder: Path, settings: Pipeline, stages: list[str]) -> None:
    """Have stages of a run run again, and its folder say so where they are asked for otherwise than before."""
    if stages:
        Ledger(folder).forget(stages)
    path = folder / RESOLVED
    if path.read_text(encoding="utf-8") != write_yaml(to_dict(settings)):
        write(folder / "pipeline.yaml", settings.text)
        record(folder, settings)


def begin(run: Run, keys: Mapping[str, str], place: Path, force: bool = False) -> None:
    """Make the folder of a run, unless it can be known that it would fail, and run its stages.

    `place` is the folder of its pipeline.
    """
    check_replaceable(run.folder, force)
    check(run, force)
    make_folder(run.folder, run.pipeline, environment(run) | {"git": git_state(place)})
    Ledger(run.folder).begin(keys)
    execute(run, keys)


def resume(
    folder: str | Path,
    overrides: Overrides = (),
    *,
    force: bool = False,
    plugins: Plugins = (),
    reporter: Reporter | None = None,
) -> Run:
    """Go on with a run that was stopped, or make a finished one longer ({"train.max_steps": 2000}).

    It goes on from its newest checkpoint that is whole, with the same bits as if it had never been stopped, or begins
    where there is none. Raises ConfigurationError for overrides that would make it another run, CheckpointError for a
    checkpoint that isn't this run's, DataError where the text has changed since.
    """
    with Signals() as signals:
        registry, place = load_plugins(builtin, plugins), find_run(str(folder))
        settings = settings_of(place, registry, overrides)
        for folder in (place, place / "checkpoints"):
            if folder.is_dir():
                remove_stale(folder)
        made = Run(settings, registry, place, reporter or Reporter(), newest_checkpoint(place), signals)
        if made.saved is not None and made.state().get("data") != made.data_digest:
            raise DataError(
                f"the text isn't what {place} was trained on so far, so going on would be another run; put it back, or "
                f"begin a new run with this one's model: init_from: {place}"
            )
        keys = stage_keys(made)
        if "train" in keys and not Ledger(place).stale("train", keys["train"]):
            made.saved = place / "model"
        check(made, force)
        execute(made, keys, partial(go_on, made))
        return made


def go_on(run: Run) -> None:
    """Write down with what a run goes on."""
    note_changes(run)
    record(run.folder, run.pipeline)


def settings_of(folder: Path, registry: Registry, overrides: Overrides) -> Pipeline:
    """The pipeline of a run, with overrides that leave it the same run."""
    resolved = folder / RESOLVED
    if not resolved.is_file():
        raise ConfigurationError(f"{folder} isn't the folder of a run: it has no {RESOLVED}")
    before, after = (to_dict(read_pipeline(resolved, registry, changes)) for changes in ((), overrides))
    for key in FIXED:
        section, _, field = key.partition(".")
        was, now = ((side[section] or {})[field] if field else side[section] for side in (before, after))
        if was != now:
            raise ConfigurationError(
                f"--set {key}: {folder} was begun with {was!r}, and can't go on with {now!r}; begin a new run, perhaps "
                f"with this one's model: init_from: {folder}"
            )
    return read_pipeline(resolved, registry, overrides)


def check(run: Run, force: bool = False) -> None:
    """Raise what a stage would raise only later, before a folder is made or a minute is spent.

    With `force` the run may be larger than the memory and the disk that are free.
    """
    found = examine(run)
    if "train" in run.pipeline.stages:
        try:
            found.require_room(run.folder)
        except DoesNotFitError as error:
            if not force:
                raise
            run.reporter.headline(f"started by --force, though {error}")
    _ = run.network


def examine(run: Run) -> Forecast:
    """What a run will compute and need. Raises for text that it can't be trained on, and for what doesn't go together.

    Its text is read for it; no memory is taken.
    """
    _ = run.batches.batch(0), run.validation  # what is wrong with the data
    found = predict(run)  # an op that its backend can't run
    if run.batching == "packed" and not found.model.separates_documents:
        raise ConfigurationError(
            "train.batching: packed puts documents side by side, but the model's attention takes no positions to keep "
            "them apart; use documents"
        )
    if "evaluate" in run.pipeline.stages and not run.validation:
        raise ConfigurationError(
            "stage `evaluate` needs held-out text; set dataset.validation to a share such as 0.1, or leave it out"
        )
    return found


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
    """A trained model: a model's or a run's folder, a run's name, "latest", or a file such as `export` writes."""
    return load_from(load_plugins(builtin, plugins), model)


def load_from(registry: Registry, model: str | Path) -> LanguageModel:
    """As `load`, with the components of a registry."""
    path = Path(model)
    if path.is_file():
        return LanguageModel(*reader_of(registry, path).read(path, registry.get))
    folder = model_folder(find_run(str(model)))
    try:
        return LanguageModel.load(folder, registry.get)
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
    folder, registry = Path(model) if Path(model).is_file() else find_run(model), load_plugins(builtin, plugins)
    language_model, resolved = load_from(registry, model), folder / RESOLVED
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
