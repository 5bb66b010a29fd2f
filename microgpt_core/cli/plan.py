"""`microgpt plan`: what a pipeline will compute, in what memory, before any of it is allocated."""

import json
from pathlib import Path

import click

from microgpt_core.cli.options import json_option, plugin_option, set_option
from microgpt_core.cli.table import print_table
from microgpt_core.components.op import show_shape
from microgpt_core.engine.plan import Plan
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.forecast import Forecast, forecast
from microgpt_core.pipeline.read import read_pipeline
from microgpt_core.pipeline.run import Run
from microgpt_core.pipeline.run_folder import RESOLVED
from microgpt_core.plugins.loader import load

EXAMPLES = """\b
Examples:
  microgpt plan names
  microgpt plan names --explain --set model.n_layer=4
  microgpt plan ./mine.yaml --json > plan.json
  microgpt plan runs/names-1                  the plan of a run that was made
"""


@click.command("plan", epilog=EXAMPLES)
@click.argument("pipeline", default="names")
@click.option("--explain", is_flag=True, help="Say which backend won each call, and why others did not.")
@click.option("--vocab-size", type=click.IntRange(min=1), help="Instead of asking the tokenizer, which reads the text.")
@set_option
@plugin_option
@json_option
def command(
    pipeline: str,
    explain: bool,
    vocab_size: int | None,
    overrides: tuple[str, ...],
    plugins: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Show a training step of PIPELINE, or of the run in a folder: its calls, their costs, how long each value
    lives, and the memory that it takes.
    """
    registry = load(builtin, plugins)
    resolved = Path(pipeline) / RESOLVED
    settings = read_pipeline(resolved if resolved.is_file() else pipeline, registry, overrides)
    run = Run(settings, registry, Path())
    found = forecast(settings, registry, vocab_size or run.tokenizer.vocab_size, run.batching)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
        return
    print_parameters(found)
    for title, plan in (("micro: forward and backward", found.micro), ("update", found.update)):
        click.echo(f"\n{title}: {len(plan.calls)} calls, {plan.flops:,} FLOPs, {plan.bytes:,} bytes moved")
        print_calls(plan, explain)
    print_memory(found)


def print_parameters(found: Forecast) -> None:
    rows = [(p.name, show_shape(p.shape, p.value.format), f"{p.value.size:,}") for p in found.model.parameters()]
    rows.append(("all", "", f"{found.model.n_parameters:,}"))
    print_table(("parameter", "shape", "numbers"), rows)


def print_calls(plan: Plan, explain: bool) -> None:
    """A line a call: what it writes, and until which call that lives."""
    headers = ["#", "scope", "call", "writes", "lives", "FLOPs", "bytes", "kernel"]
    rows = []
    for at, call in enumerate(plan.calls):
        written = [plan.values[i] for i in call.written]
        shapes = ", ".join(show_shape(v.shape) for v in written)
        lives = ", ".join("always" if v.role == "persistent" else f"{v.first}-{v.last}" for v in written)
        name = f"{call.op.name}.{call.method}" + (f" sets {', '.join(call.sets)}" if call.sets else "")
        row = [str(at), call.scope, name, shapes, lives, f"{call.flops:,}", f"{call.bytes:,}", call.backend]
        rows.append([*row, "; ".join(call.refusals) or "first choice"] if explain else row)
    print_table([*headers, "why"] if explain else headers, rows)


def print_memory(found: Forecast) -> None:
    values = found.micro.region_bytes + found.update.region_bytes
    every = sum(v.nbytes for v in found.micro.values if v.role != "persistent")
    click.echo("")
    rows = [
        ("parameters", f"{found.parameter_bytes:,}", ""),
        ("gradients", f"{found.gradient_bytes:,}", ""),
        ("optimizer", f"{found.optimizer_bytes:,}", ""),
        ("values", f"{values:,}", f"{every:,} without reuse; batch {show_shape(found.batch)}"),
        ("peak", f"{found.peak_bytes:,}", f"and {found.step_flops:,} FLOPs a step"),
    ]
    print_table(("memory", "bytes", ""), rows)
