"""`microgpt runs`: what was run, what came of it, how runs differ, and whether one can be done again to the bit."""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from microgpt_core.cli.options import examples, json_option, plugin_option
from microgpt_core.cli.progress import ConsoleReporter, duration
from microgpt_core.cli.sparkline import sparkline
from microgpt_core.cli.table import print_table
from microgpt_core.components import exp
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.folders import find_run
from microgpt_core.pipeline.reproduce import reproduce
from microgpt_core.pipeline.runs.archive import TRAIN_LOSS, VAL_LOSS, Record, read_run, resumptions, run_folders
from microgpt_core.pipeline.runs.comparison import compare
from microgpt_core.pipeline.runs.differences import short
from microgpt_core.pipeline.runs.machine import in_units
from microgpt_core.pipeline.runs.run_report import report
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.selection import Plugins

EXAMPLES = """\b
Examples:
  microgpt runs list
  microgpt runs show latest
  microgpt runs compare names-1 names-2
  microgpt runs reproduce names-1             train it again, and compare the bits
"""
SHOWN = 20  # runs of a list
ROWS = 10  # of a table of losses
WIDTH = 60  # characters of a figure
OUTCOMES = {
    "step": "steps", "tokens": "tokens", "seconds": "seconds", "tokens_per_s": "tokens/s", "train_loss": "train loss",
    "final_val_loss": "val loss", "val_loss": "val loss at best", "best_step": "best at step",
}  # fmt: skip
DIFFERENT = 5  # the exit code of a reproduction that gave other bits


@click.group("runs", epilog=EXAMPLES)
def command() -> None:
    """List, show, compare and reproduce the runs that were made. RUN is a run's folder, its name, or latest."""


def complete_run(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names that a shell can complete a RUN to."""
    return [name for name in ("latest", *(path.name for path in run_folders())) if name.startswith(incomplete)]


@command.command("list", epilog=examples("runs list", "runs list --json"))
@click.option("--all", "everything", is_flag=True, help=f"List them all; without it, the {SHOWN} newest.")
@json_option
def list_runs(everything: bool, as_json: bool) -> None:
    """List the runs in ./runs, the newest first. JSON always has all of them."""
    folders = run_folders()
    records = [read_run(folder) for folder in (folders if everything or as_json else folders[:SHOWN])]
    if as_json:
        click.echo(json.dumps([record.to_dict() for record in records], indent=2))
    elif not records:
        click.echo("there is no run in ./runs yet; make one: microgpt run names")
    else:
        print_table(
            ("run", "began", "state", "steps", "val loss", "tokens", "time", "backend", "parameters"),
            [list_row(record) for record in records],
        )
        if len(records) < len(folders):
            click.echo(f"... and {len(folders) - len(records)} older: --all")
        print_problems({record.name: record.problems for record in records})


def list_row(record: Record) -> tuple[str, ...]:
    state = f"stopped at step {record.step}" if record.state == "stopped" else record.state
    numbers = (f"{record.step:,}", number(record.val_loss), f"{record.tokens:,}", duration(record.seconds))
    backends = " ".join(record.backends)
    return record.name, day(record.began), state, *numbers, backends, number(record.parameters)


def print_problems(problems: Mapping[str, Iterable[str]]) -> None:
    for name, found in problems.items():
        for problem in found:
            click.echo(f"{name}: {problem}", err=True)


def number(value: Any) -> str:
    """A count, a loss, a speed. Of what isn't known, nothing."""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else ""


def day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


@command.command("show", epilog=examples("runs show latest", "runs show names-1 --json"))
@click.argument("run", shell_complete=complete_run)
@plugin_option
@json_option
def show(run: str, plugins: Plugins, as_json: bool) -> None:
    """Show what there is to know of RUN: settings, origin, results, losses, checkpoints, samples, and what is next."""
    found = report(find_run(run), load(builtin, plugins))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"{found['name']}: {found['state']}, began {day(found['began'])}, in {found['folder']}")
    print_facts("settings that aren't the defaults", found["settings"])
    print_facts(
        "where it ran", {key: v for key, v in found["environment"].items() if v and key not in ("began", "resumed")}
    )
    for step, changed in resumptions(found["environment"]):
        print_facts(f"changed after step {step}, then and now", changed)
    print_facts("what the stages gave", {name: stage_line(name, result) for name, result in found["stages"].items()})
    print_losses(found["metrics"])
    for checkpoint in found["checkpoints"]:
        click.echo(f"{checkpoint['name']:<14} {in_units(checkpoint['bytes']):>9}  {checkpoint['problem'] or 'whole'}")
    if found["samples"]:
        click.echo("\n" + "\n".join(["samples", *(f"  {text}" for text in found["samples"])]))
    if found["next"]:
        click.echo("\n" + "\n".join(["next", *(f"  {text}" for text in found["next"])]))
    print_problems({found["name"]: found["problems"]})


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """A paragraph of names and values."""
    if facts:
        click.echo(f"\n{title}")
        for name, value in facts.items():
            click.echo(f"  {name:<{max(map(len, facts))}}  {in_words(value)}")


def in_words(value: Any) -> str:
    """Plain data in a line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {in_words(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(in_words, value)) or "none"
    return number(value) if isinstance(value, float) else "null" if value is None else short(value)


def stage_line(stage: str, result: Any) -> str:
    """What a stage returned; of many things, how many."""
    what = "file" if stage == "export" else "text"
    return f"{len(result)} {what}{'s' * (len(result) != 1)}" if isinstance(result, list) else in_words(result)


def print_losses(metrics: Sequence[Mapping[str, Any]]) -> None:
    """A bar for every so many steps, and a table of the evaluations."""
    click.echo("")
    for metric in (TRAIN_LOSS, VAL_LOSS):
        losses = [line[metric] for line in metrics if metric in line]
        if losses:
            bars = sparkline(losses, WIDTH, sys.stdout.encoding)
            click.echo(f"{metric:<10}  {losses[0]:.3f} {bars} {losses[-1]:.3f}")
    evaluated = [line for line in metrics if VAL_LOSS in line]
    if evaluated:
        click.echo("")
        rows = [(str(line["step"]), number(line.get(TRAIN_LOSS)), number(line[VAL_LOSS])) for line in some(evaluated)]
        print_table(("step", TRAIN_LOSS, VAL_LOSS), rows)
    click.echo("")


def some(rows: Sequence[Any]) -> list[Any]:
    """At most ROWS of them, evenly apart, with the last."""
    n = min(ROWS, len(rows))
    return [rows[(i + 1) * len(rows) // n - 1] for i in range(n)]


@command.command("compare", epilog=examples("runs compare names-1 names-2"))
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...", shell_complete=complete_run)
@json_option
def compare_runs(runs: tuple[str, ...], as_json: bool) -> None:
    """Compare runs: what differs in settings, text, code and versions, and what came of it."""
    if len(runs) < 2:
        raise click.UsageError("expected two runs or more; the names of all: microgpt runs list")
    folders = [find_run(run) for run in runs]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise click.UsageError(f"expected different runs, found the same one twice: {', '.join(map(str, folders))}")
    found = compare(folders)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    names = [run["name"] for run in found["runs"]]
    for title in ("settings", "environment"):
        rows = [(key, *map(in_words, values)) for key, values in found[title].items()]
        click.echo(f"{title}: {'' if rows else 'the same'}".rstrip(": " if rows else ""))
        if rows:
            print_table(("", *names), rows)
        click.echo("")
    rows = [(label, *(number(run[name]) for run in found["runs"])) for name, label in OUTCOMES.items()]
    print_table(("results", *names), rows)
    if found["losses"]:
        click.echo("")
        print_table(
            (f"{found['metric']} at step", *names),
            [(str(step), *map(number, values)) for step, values in some(list(found["losses"].items()))],
        )
    click.echo("\n" + "\n".join(verdict(found)))
    print_problems({"": found["problems"]})


def verdict(found: Mapping[str, Any]) -> list[str]:
    """Which run is better and by how much, and whether the models are the same."""
    losses = {run["name"]: run["val_loss"] for run in found["runs"]}
    said = []
    if not found["comparable"]:
        said.append("the losses are of different text or tokens, so they don't say which is better")
    elif found["better"]:
        best, *_, worst = sorted(losses.values())
        gain = f"{worst - best:.4f} nats, perplexity {exp(best):.3f} against {exp(worst):.3f}"
        said.append(f"{found['better']} is better by {gain}" if worst > best else "all have the same best loss")
    for run, turned in zip(found["runs"], found["turned"]):
        if turned:
            said.append(f"{run['name']} {turned}, so it isn't what a run from the first step would be")
    if found["same_bits"]:
        said.append("the models are the same, to the bit")
    elif found["same_making"] and found["same_bits"] is not None:
        said.append("the models differ, though settings, text and code are the same: another machine, or damage")
    return said


@command.command("reproduce", epilog=examples("runs reproduce names-1 --output runs/again"))
@click.argument("run", shell_complete=complete_run)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="A new folder to keep the second run in [none].")
@plugin_option
@json_option
def reproduce_run(run: str, output: Path | None, plugins: Plugins, as_json: bool) -> None:
    """Do RUN again as it was recorded, and compare the bits. Exits with 5 where they aren't the same."""
    found = reproduce(run, output=output, plugins=plugins, reporter=ConsoleReporter(samples_to_stdout=False))
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        print_table(("file", "bits"), [(name, said or "the same") for name, said in found.differences.items()])
        others = [name for name, said in found.differences.items() if said]
        click.echo(f"\nnot the same: {', '.join(others)}" if others else "\nall is the same, to the bit")
    sys.exit(0 if found else DIFFERENT)
