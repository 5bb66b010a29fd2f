"""`microgpt bench compare`: what has become slower or faster between two runs, or two environments of one race."""

import json
import sys
from functools import partial
from pathlib import Path

import click

from microgpt_bench.report.markdown import comparison_markdown
from microgpt_bench.report.verdicts import HEADERS, remarks, row, summary
from microgpt_bench.results.comparison import compare_environments, compare_reports
from microgpt_bench.results.history import BASELINE, LATEST, find
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
  microgpt bench compare baseline latest      of what --save and `bench baseline` have kept
"""
PERCENT = 5.0  # what is worth telling, where nothing else is asked for
REGRESSION = 5  # the exit code
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("compare", epilog=EXAMPLES)
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option(
    "--fail-on-regression",
    type=click.FloatRange(0, min_open=True),
    metavar="PERCENT",
    help=f"Exit with {REGRESSION} where something is slower by so much, beyond its noise; without it, {PERCENT:g} %.",
)
@click.option("--markdown", type=FILE, metavar="FILE", help="Write it for a pull request, too.")
@json_option
def command(
    old: str | None, new: str | None, fail_on_regression: float | None, markdown: Path | None, as_json: bool
) -> None:
    """Say what is slower in NEW than in OLD, and what is too noisy to say. Both are files that --save has written, or
    names of `bench list`, `latest` or `baseline`. Without any, it is the latest run beside the baseline of its kind.

    With one, its two environments are compared. They ran in one race, which is the surest way.
    """
    percent = fail_on_regression or PERCENT
    asked = [name for name in (old, new) if name] or [BASELINE, LATEST]
    reports = [run.report for run in find(partial(click.echo, err=True), *asked)]
    if asked == [BASELINE, LATEST] and reports[0] == reports[1]:
        raise ConfigurationError("the latest run is the baseline itself; measure again first, with --save")
    if len(reports) == 1:
        found = compare_environments(reports[0], percent)
    else:
        found = compare_reports(reports[0], reports[1], percent)
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
