"""`microgpt run`: train a model as a pipeline says, then show what it learned."""

import json
from pathlib import Path

import click

from microgpt_core.cli.options import json_option, plugin_option, set_option
from microgpt_core.cli.progress import ConsoleReporter
from microgpt_core.pipeline import api
from microgpt_core.plugins.selection import Plugins

EXAMPLES = """\b
Examples:
  microgpt run names                              names, from nothing, in a minute
  microgpt run names --set train.max_steps=200    the same, shorter
  microgpt run ./mine.yaml --output runs/try      a file of your own
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
@set_option
@plugin_option
@json_option
def command(
    pipeline: str | None,
    output: Path | None,
    resume: str | None,
    start: str | None,
    force: bool,
    overrides: tuple[str, ...],
    plugins: Plugins,
    as_json: bool,
) -> None:
    """Run PIPELINE: the path of a YAML file, or the name of one inside the package, such as names.

    Stages that an earlier run has done, with the same settings, text and code, aren't done again. Ctrl-C, or SIGTERM,
    ends a run after the step that it is at, with a checkpoint to go on from.
    """
    reporter = ConsoleReporter(samples_to_stdout=not as_json)
    if (pipeline is None) == (resume is None) or (resume and (output or start)):
        raise click.UsageError("expected PIPELINE, or --resume DIR, which takes neither --output nor --from")
    if resume:
        run = api.resume(resume, overrides, force=force, plugins=plugins, reporter=reporter)
    else:
        assert pipeline is not None
        run = api.run(pipeline, overrides, output=output, force=force, start=start, plugins=plugins, reporter=reporter)
    if as_json:
        result = vars(run.result) if run.result else None
        about = {"folder": str(run.folder), "result": result, "evaluation": run.evaluation, "samples": run.samples}
        click.echo(json.dumps(about, indent=2))
    else:
        reporter.headline(f"\nthe run is in {run.folder}; more like this: microgpt generate {run.folder}")
