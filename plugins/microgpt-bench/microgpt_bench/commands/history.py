"""`microgpt bench list|baseline|trend`: the runs that were kept, which one counts, and how speed went."""

import json
from itertools import groupby
from pathlib import Path

import click

from microgpt_bench.report.trend import heading, rows, trend_markdown
from microgpt_bench.report.trend_chart import trend_chart
from microgpt_bench.results.history import LATEST, Run, baseline_path, find, runs, set_baseline
from microgpt_bench.results.store import FOLDER
from microgpt_bench.results.trend import described, trends
from microgpt_core.cli.options import examples, json_option
from microgpt_core.cli.table import print_table
from microgpt_core.errors import ConfigurationError
from microgpt_core.storage.atomic import atomic_write

HEADERS = ("run", "of", "models", "candidates", "revision", "machine", "")
FILE = click.Path(dir_okay=False, path_type=Path)
LIST_EXAMPLES = examples("bench step --save               keeps a run", "bench list")
BASELINE_EXAMPLES = examples(
    "bench step --save",
    "bench baseline                  that run, from now on",
    "bench step --save",
    "bench compare baseline latest",
)
TREND_EXAMPLES = examples("bench trend", "bench trend --model e16 --candidate numpy --svg trend.svg")


def warn(text: str) -> None:
    click.echo(text, err=True)


@click.command("list", epilog=LIST_EXAMPLES)
@json_option
def list_command(as_json: bool) -> None:
    """List the runs that --save has kept in the folder bench, the oldest first.

    Their names can be given to `compare` and `baseline`; `latest` is the last of them.
    """
    found = [facts(run) for run in runs(warn)]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        print_table(HEADERS, [list(map(told, one.values())) for one in found])
    else:
        click.echo(f"no runs are kept in {FOLDER}; keep one: microgpt bench step --save")


def facts(run: Run) -> dict[str, str | list[str]]:
    results, path = run.report.results, baseline_path(run.bench)
    chosen = path.is_file() and path.read_bytes() == run.path.read_bytes()
    return {
        "run": run.name, "bench": run.bench, "models": list(dict.fromkeys(r.model for r in results)),
        "candidates": list(dict.fromkeys(r.candidate for r in results)), "revision": run.revision,
        "machine": described(run), "baseline": "baseline" if chosen else "",
    }  # fmt: skip


def told(fact: str | list[str]) -> str:
    return fact if isinstance(fact, str) else ", ".join(fact)


@click.command("baseline", epilog=BASELINE_EXAMPLES)
@click.argument("run", default=LATEST)
def baseline_command(run: str) -> None:
    """Make RUN the baseline of its kind (step, ops, ...): a name of `bench list`, a file, or the latest run.

    It is copied to bench/baseline-KIND.json. `bench compare` without arguments compares the latest run with it.
    """
    (chosen,) = find(warn, run)
    click.echo(f"{set_baseline(chosen)}: the baseline is {chosen.path}")


@click.command("trend", epilog=TREND_EXAMPLES)
@click.option("--model", multiple=True, metavar="NAME", help="Only this one. May be repeated.")
@click.option("--candidate", multiple=True, metavar="NAME", help="Only this one, such as numpy. May be repeated.")
@click.option("--markdown", type=FILE, metavar="FILE", help="Write it as Markdown.")
@click.option("--svg", type=FILE, metavar="FILE", help="Draw it.")
@json_option
def trend_command(
    model: tuple[str, ...], candidate: tuple[str, ...], markdown: Path | None, svg: Path | None, as_json: bool
) -> None:
    """Show how fast each candidate was in the runs in the folder bench, one after the other.

    `speed` is beside the fixed piece of work that each process does between the rounds, as a multiple of the first
    run's: so it bears a machine that is slower today. Each machine stands by itself, since times of two don't compare.
    """
    found = trends(runs(warn), model, candidate)
    if not found:
        wanted = " ".join([*model, *candidate])
        raise ConfigurationError(
            f"{FOLDER}: no run is kept there{f' with {wanted}' if wanted else ''}; see: microgpt bench list. "
            "Keep one: microgpt bench step --save"
        )
    found.sort(key=lambda series: series.machine)  # the order stays within
    for file, text in ((markdown, trend_markdown), (svg, trend_chart)):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(file, text(found).encode("utf-8"))
    if as_json:
        click.echo(json.dumps([series.to_dict() for series in found], indent=2))
        return
    for machine, same in groupby(found, key=lambda series: series.machine):
        click.echo(machine)
        for series in same:
            click.echo(f"\n{heading(series)}")
            print_table(*rows(series))
        click.echo()
