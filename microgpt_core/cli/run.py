"""`microgpt run`: train a model as a pipeline says, then show what it learned."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from microgpt_core.cli.options import code_option, json_option, plugin_option, set_option
from microgpt_core.cli.progress import ConsoleReporter, duration
from microgpt_core.errors import DoesNotFitError, StorageError
from microgpt_core.pipeline import api
from microgpt_core.pipeline.dry_run import DryRun, dry_run
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.pipeline.runs.machine import available_disk, available_memory, in_units
from microgpt_core.plugins.hints import quoted
from microgpt_core.plugins.selection import Plugins

EXAMPLES = """\b
Examples:
  microgpt run names                              names, from nothing, in a minute
  microgpt run names --set train.max_steps=200    the same, shorter
  microgpt run ./mine.yaml --output runs/try      a file of your own
  microgpt run ./mine.yaml --dry-run              what it would be, need and take
  microgpt run --resume runs/names-1              go on with a run that was stopped
  microgpt run --resume latest --set train.max_steps=2000
  microgpt run names --plugin ./mish.py --set model.activation=mish
"""


@click.command("run", epilog=EXAMPLES)
@click.argument("pipeline", required=False)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="The run's folder [next runs/NAME-N].")
@click.option("--resume", metavar="DIR", help="Go on with the run in this folder, instead of a new one.")
@click.option("--from", "start", metavar="STAGE", help="Run this stage and those after it, though nothing has changed.")
@click.option(
    "--force",
    is_flag=True,
    help="Make a new run, in place of the one in the output folder; start even where memory or disk won't do.",
)
@click.option(
    "--dry-run", "dry", is_flag=True,
    help="Train and write nothing; show every setting, the memory, disk and time that the run would take, and whether "
    "it would begin: exit code 0, 4 where it won't fit.",
)  # fmt: skip
@click.option(
    "--profile", type=click.Path(path_type=Path, dir_okay=False),
    help="Write where the time goes to this file, for: python -m pstats FILE",
)  # fmt: skip
@set_option
@plugin_option
@code_option
@json_option
def command(
    pipeline: str | None,
    output: Path | None,
    resume: str | None,
    start: str | None,
    force: bool,
    dry: bool,
    profile: Path | None,
    overrides: tuple[str, ...],
    plugins: Plugins,
    as_json: bool,
) -> None:
    """Run PIPELINE: the path of a YAML file, or the name of one inside the package, such as names.

    Stages that an earlier run has done, with the same settings, text and code, aren't done again. Ctrl-C, or SIGTERM,
    ends a run after the step that it is at, with a checkpoint to go on from.
    """
    reporter = ConsoleReporter(samples_to_stdout=not as_json)
    if pipeline and resume:
        raise click.UsageError(f"--resume takes no PIPELINE, since {resume} has its own; leave out {pipeline}")
    if not (pipeline or resume) or (resume and (output or dry)):
        raise click.UsageError("expected PIPELINE, or --resume DIR without --output and --dry-run")
    if dry:
        rehearse(dry_run(str(pipeline), overrides, output=output, force=force, plugins=plugins), force, as_json)
        return
    with profiled(profile):
        if resume:
            run = api.resume(resume, overrides, force=force, start=start, plugins=plugins, reporter=reporter)
        else:
            run = api.run(
                str(pipeline), overrides, output=output, force=force, start=start, plugins=plugins, reporter=reporter
            )
    if as_json:
        result = vars(run.result) if run.result else None
        about = {"folder": str(run.folder), "result": result, "evaluation": run.evaluation, "samples": run.samples}
        click.echo(json.dumps(about, indent=2))
    else:
        trained = (run.folder / "model").is_dir()
        more = f"; more like this: microgpt generate {quoted(run.folder)}" if trained else ""
        reporter.headline(f"\nthe run is in {run.folder}{more}")


@contextmanager
def profiled(path: Path | None) -> Iterator[None]:
    """Profile what is done in this block, also where it ends by an exception, and save that as a file."""
    if path is None:
        yield
        return
    from cProfile import Profile  # which the other commands do without

    profile = Profile()
    try:
        with profile:
            yield
    finally:
        try:
            profile.dump_stats(path)
        except OSError as error:
            raise StorageError(f"can't write {path}: {error.strerror}", error.errno) from error
        click.echo(f"the profile is in {path}; to look at it: python -m pstats {quoted(path)}", err=True)


def rehearse(found: DryRun, force: bool, as_json: bool) -> None:
    """Show what a run would be: its settings as YAML, all else in comments. Exits with 4 where it won't fit."""
    go = force or not found.refusal
    if as_json:
        click.echo(json.dumps(found.to_dict() | {"go": go}, indent=2))
    else:
        click.echo(write_yaml(found.pipeline), nl=False)
        for name, said in summary(found).items():
            click.echo(f"# {name:<6} {said}")
        click.echo(f"# {'go' if go else 'no go'}{found.refusal and f': {found.refusal}'}")
    sys.exit(0 if go else DoesNotFitError.exit_code)


def summary(found: DryRun) -> dict[str, str]:
    """What a run would compute, need and take, in a line each."""
    plan, run, free = found.forecast, found.run, available_memory()
    calls = f"{len(plan.micro.calls)} calls forward and backward, {len(plan.update.calls)} in the update"
    model = f"{plan.model.n_parameters:,} parameters, {run.tokenizer.vocab_size} tokens"
    more = sum(plan.memory.values()) - plan.process_bytes
    time = "unknown" if found.seconds is None else f"about {duration(found.seconds)} of training, by a few batches here"
    return {
        "plan": f"{model}; {calls}; {in_units(plan.step_flops, 'FLOP')} a step",
        "memory": f"{in_units(more)} more than now" + (f", {in_units(free)} are free" if free is not None else ""),
        "disk": f"{in_units(plan.disk_bytes)} at most, {in_units(available_disk(run.folder))} are free in {run.folder}",
        "time": "no training: " + f"{run.folder} has it already" if run.folder.exists() else time,
    }
