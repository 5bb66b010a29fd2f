"""What a program calls: run a pipeline, go on with a run, see what one would need. The command line does the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from time import time

from microgpt_core.errors import ConfigurationError, DataError, DoesNotFitError, StorageError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.folders import RESOLVED, find_run, new_folder
from microgpt_core.pipeline.preview.forecast import Forecast, forecast
from microgpt_core.pipeline.reading.overrides import Overrides
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import to_dict
from microgpt_core.pipeline.reading.source import packaged
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.pipeline.runs.execute import earlier_ledgers, execute, from_stage, same_run, stopped_run
from microgpt_core.pipeline.runs.ledger import Ledger, stage_keys
from microgpt_core.pipeline.runs.provenance import environment, git_state, note_changes
from microgpt_core.pipeline.runs.resumption import require_use, settings_of
from microgpt_core.pipeline.runs.run import Reporter, Run
from microgpt_core.pipeline.runs.run_folder import check_replaceable, make_folder, named_folder, record, write
from microgpt_core.pipeline.runs.signals import Signals
from microgpt_core.pipeline.trained import by_itself
from microgpt_core.plugins.hints import quoted
from microgpt_core.plugins.loader import load as load_plugins
from microgpt_core.plugins.selection import Plugins
from microgpt_core.saving.checkpoint import newest_checkpoint
from microgpt_core.saving.model_folder import read_config
from microgpt_core.storage.atomic import remove_stale
from microgpt_core.storage.lock import locked


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
        registry, named = load_plugins(builtin, plugins), named_folder(output)
        settings = read_pipeline(pipeline, registry, overrides)
        made = Run(settings, registry, Path(), reporter or Reporter(), signals=signals)
        keys = stage_keys(made)
        again = from_stage(start, keys)
        anew = force or "train" in again
        ledgers = [] if anew else earlier_ledgers(made, named)
        if same := same_run(ledgers, keys):
            made.folder = same
            run_again(made, keys, again)
            return made
        if again and not anew and start != next(iter(keys)):
            raise ConfigurationError(f"--from {start}: no run has done what comes before it; leave it out")
        if named is None and (stopped := stopped_run(ledgers, keys)):
            made.reporter.headline(stopped)
        made.folder = named or new_folder(settings.name)
        begin(made, keys, Path(pipeline).parent, force, numbered=named is None)
        return made


def run_again(run: Run, keys: Mapping[str, str], again: Iterable[str]) -> None:
    """Of a run that has been made, the stages that aren't done, or are to be done `again`.

    Its folder says so where it is asked for otherwise than before.
    """
    with locked(run.folder):
        resolved = run.folder / RESOLVED
        if not same_run([Ledger(run.folder)], keys):
            raise StorageError(f"another process has just changed {run.folder}; ask again")
        if "train" in keys:
            run.saved = run.folder / "model"
        if resolved.read_text(encoding="utf-8") != write_yaml(to_dict(run.pipeline)):
            write(run.folder / "pipeline.yaml", run.pipeline.text)
            record(run.folder, run.pipeline)
        execute(run, keys, again)


def begin(run: Run, keys: Mapping[str, str], place: Path, force: bool = False, numbered: bool = False) -> None:
    """Make the folder of a run, unless it can be known that it would fail, and run its stages.

    `place` is the folder of its pipeline. A `numbered` folder gets another number, should somebody else take this one.
    """
    if not numbered:
        check_replaceable(run.folder, force)
    check(run, force)
    recorded = environment(run) | {"git": git_state(place), "began": time()}
    try:
        make_folder(run.folder, run.pipeline, recorded, force and not numbered)
    except ConfigurationError:
        if not numbered:
            raise
        run.folder = new_folder(run.pipeline.name)
        begin(run, keys, place, force, numbered)
        return
    with locked(run.folder):
        Ledger(run.folder).begin(keys)
        execute(run, keys)


def resume(
    folder: str | Path,
    overrides: Overrides = (),
    *,
    force: bool = False,
    start: str | None = None,
    plugins: Plugins = (),
    reporter: Reporter | None = None,
) -> Run:
    """Go on with a run that was stopped, or make a finished one longer ({"train.max_steps": 2000}).

    It goes on from its newest checkpoint that is whole, with the same bits as if it had never been stopped, or begins
    where there is none. `start` names the first stage after `train` to run though it is done. Raises
    ConfigurationError for overrides that would make it another run, or that nothing would come of, CheckpointError for
    a checkpoint that isn't this run's, DataError where the text has changed since, StorageError where another process
    is at work in the folder.
    """
    with Signals() as signals:
        registry, place = load_plugins(builtin, plugins), find_run(str(folder))
        if not (place / RESOLVED).is_file():
            raise ConfigurationError(f"{place} isn't the folder of a run: it has no {RESOLVED}")
        with locked(place):
            settings, changes = settings_of(place, registry, overrides)
            for parent in (place, place / "checkpoints"):
                if parent.is_dir():
                    remove_stale(parent)
            made = Run(settings, registry, place, reporter or Reporter(), newest_checkpoint(place), signals)
            require_same_text(made)
            keys, ledger = stage_keys(made), Ledger(place)
            again = from_stage(start, keys)
            if "train" in again:
                how = f"microgpt run {quoted(place / RESOLVED)} --from {start}"
                raise ConfigurationError(f"--from {start}: to train again is a new run, in its own folder: {how}")
            if "train" in keys:
                require_use(made, ledger.result("train"), changes)
                if not ledger.stale("train", keys["train"]):
                    made.saved = place / "model"
            check(made, force)
            note_changes(made)
            record(place, settings)
            execute(made, keys, again)
            return made


def require_same_text(run: Run) -> None:
    """Raise DataError where a checkpoint was trained on another text than there is now."""
    if run.saved is not None and run.state().get("data") != run.data_digest:
        raise DataError(
            f"the text isn't what {run.folder} was trained on so far, so going on would be another run; put it back, "
            f"or begin a new run with this one's model: init_from: {run.folder}"
        )


def check(run: Run, force: bool = False) -> None:
    """Raise what a stage would raise only later, before a folder is made or a minute is spent.

    With `force` the run may be larger than the memory and the disk that are free.
    """
    found = examine(run)
    if "train" in run.pipeline.stages:
        try:
            found.require_room(run.folder, force)
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
    """What a pipeline, or a run, will compute and need. Its text is read, no memory is taken.

    Without a pipeline: a model with every default, or of a preset, which then has the vocabulary that it was made
    for; no text is read.
    """
    registry = load_plugins(builtin, plugins)
    place = Path(pipeline or "names")
    if str(place) not in packaged() and not place.exists():
        with suppress(ConfigurationError):  # it's no run either, which is said where it is read as a pipeline
            place = find_run(str(place))
    if (place / RESOLVED).is_file():  # a run: what it was trained from may be gone, and what it became is known
        made_model = place / "model"
        if (made_model / "config.json").is_file():
            vocab_size = vocab_size or read_config(made_model)["model"]["vocab_size"]
        settings = read_pipeline(place / RESOLVED, registry, by_itself(overrides))
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
