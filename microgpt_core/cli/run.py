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
  microgpt run names --plugin ./mish.py --set model.activation=mish
"""


@click.command("run", epilog=EXAMPLES)
@click.argument("pipeline")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="The run's folder [next runs/NAME-N].")
@click.option(
    "--force",
    is_flag=True,
    help="Replace the run that is in the output folder; start even where memory or disk won't do.",
)
@set_option
@plugin_option
@json_option
def command(
    pipeline: str,
    output: Path | None,
    force: bool,
    overrides: tuple[str, ...],
    plugins: Plugins,
    as_json: bool,
) -> None:
    """Run PIPELINE: the path of a YAML file, or the name of one inside the package, such as names."""
    reporter = ConsoleReporter(samples_to_stdout=not as_json)
    run = api.run(pipeline, overrides, output=output, force=force, plugins=plugins, reporter=reporter)
    if as_json:
        result = vars(run.result) if run.result else None
        about = {"folder": str(run.folder), "result": result, "evaluation": run.evaluation, "samples": run.samples}
        click.echo(json.dumps(about, indent=2))
    else:
        reporter.headline(f"\nthe run is in {run.folder}; more like this: microgpt generate {run.folder}")
