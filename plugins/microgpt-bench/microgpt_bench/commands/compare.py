"""`microgpt bench compare`: what has become slower or faster between two runs, or two environments of one race."""

import json
import sys
from pathlib import Path

import click

from microgpt_bench.report.markdown import comparison_markdown
from microgpt_bench.report.verdicts import HEADERS, remarks, row, summary
from microgpt_bench.results.comparison import compare_environments, compare_reports
from microgpt_bench.results.store import load
from microgpt_core.cli.options import json_option
from microgpt_core.cli.table import print_table
from microgpt_core.errors import ConfigurationError
from microgpt_core.storage.atomic import atomic_write

EXAMPLES = """\b
Examples:
  microgpt bench compare before.json after.json
  microgpt bench compare before.json after.json --fail-on-regression 10
  microgpt bench ops --environment base=../base/.venv/bin/python --processes 10 --save race.json
  microgpt bench compare race.json            the environments that were raced
"""
PERCENT = 5.0  # what is worth telling, where nothing else is asked for
REGRESSION = 5  # the exit code
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("compare", epilog=EXAMPLES)
@click.argument("old", type=FILE)
@click.argument("new", type=FILE, required=False)
@click.option(
    "--fail-on-regression",
    type=click.FloatRange(0, min_open=True),
    metavar="PERCENT",
    help=f"Exit with {REGRESSION} where something is slower by so much, beyond its noise; without it, {PERCENT:g} %.",
)
@click.option("--markdown", type=FILE, metavar="FILE", help="Write it for a pull request, too.")
@json_option
def command(
    old: Path, new: Path | None, fail_on_regression: float | None, markdown: Path | None, as_json: bool
) -> None:
    """Say what is slower in NEW than in OLD, and what is too noisy to say. Both are files that --save has written.

    With one file, its two environments are compared. They ran in one race, which is the surest way.
    """
    percent = fail_on_regression or PERCENT
    if new is None:
        found = compare_environments(load(old), percent)
    else:
        found = compare_reports(load(old), load(new), percent)
    if fail_on_regression and not found.verdicts:
        raise ConfigurationError(
            f"{summary(found)}; --fail-on-regression needs at least one verdict. Measure a larger --model, in both"
        )
    if markdown is not None:
        atomic_write(markdown, comparison_markdown(found).encode("utf-8"))
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        print_table(HEADERS, [row(verdict) for verdict in found.verdicts])
        click.echo("\n" + "\n".join([*remarks(found), summary(found)]))
    sys.exit(REGRESSION if fail_on_regression and found.regressions else 0)
