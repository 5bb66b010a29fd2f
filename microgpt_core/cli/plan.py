"""`microgpt plan`: what a pipeline will compute, in what memory, before any of it is allocated."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from microgpt_core.cli.options import code_option, json_option, plugin_option, set_option
from microgpt_core.cli.table import print_table
from microgpt_core.components.op import show_shape
from microgpt_core.engine.plan import Plan, PlanCall
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline import api
from microgpt_core.pipeline.preview.forecast import Forecast
from microgpt_core.pipeline.preview.picture import graph_of
from microgpt_core.pipeline.preview.picture_dot import to_dot
from microgpt_core.pipeline.preview.picture_svg import to_svg
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.pipeline.runs.machine import available_memory
from microgpt_core.plugins.selection import Plugins
from microgpt_core.storage.atomic import atomic_write

Row = TypeVar("Row")

EXAMPLES = """\b
Examples:
  microgpt plan names
  microgpt plan names --explain --set model.n_layer=4
  microgpt plan ./mine.yaml --json > plan.json
  microgpt plan names-1                       the plan of a run that was made
  microgpt plan --preset gpt2 --set train.batch_size=4
  microgpt plan names --svg block.svg         a picture of the first block
"""
LATER_BLOCK = re.compile(r"(.*\.)?[1-9]\d*(\.|$)")  # block.1 and what is in it, but not block.0


@click.command("plan", epilog=EXAMPLES)
@click.argument("pipeline", required=False)
@click.option("--preset", help="Plan a model of this preset, with the vocabulary that it was made for.")
@click.option("--presets", is_flag=True, help="List the presets.")
@click.option("--explain", is_flag=True, help="Say which backend won each call, and why others did not.")
@click.option("--all", "everything", is_flag=True, help="List every block; without it, only the first.")
@click.option("--vocab-size", type=click.IntRange(min=1), help="Instead of asking the tokenizer, which reads the text.")
@click.option("--dot", is_flag=True, help="Print the graph of one block's calls instead, in Graphviz's language.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Draw that graph.")
@click.option("--scope", default="block.0", show_default=True, help="What --dot and --svg show.")
@set_option
@plugin_option
@code_option
@json_option
def command(
    pipeline: str | None,
    preset: str | None,
    presets: bool,
    explain: bool,
    everything: bool,
    vocab_size: int | None,
    dot: bool,
    svg: Path | None,
    scope: str,
    overrides: tuple[str, ...],
    plugins: Plugins,
    as_json: bool,
) -> None:
    """Show a training step of PIPELINE, or of a run (its folder, its name, or latest): its calls, their costs, how
    long each value lives, and the memory that it takes. Without PIPELINE: of a model with every default, or of a
    preset.
    """
    if dot and as_json:
        raise click.UsageError("--dot and --json would both be printed; choose one")
    if presets:
        print_presets(as_json)
        return
    wanted = (f"model.preset={preset}", *overrides) if preset else overrides
    found = api.plan(pipeline, wanted, vocab_size=vocab_size, plugins=plugins)
    if dot or svg:
        draw(found.micro, scope, dot, svg)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    if as_json or dot or svg:
        return
    print_parameters(found, everything)
    if found.passes:
        click.echo(f"\npasses: {', '.join(found.passes)}")
    for title, plan in (("micro: forward and backward", found.micro), ("update", found.update)):
        again = f" ({plan.recomputed_flops:,} of them recomputed)" if plan.recomputed_flops else ""
        click.echo(f"\n{title}: {len(plan.calls)} calls, {plan.flops:,} FLOPs{again}, {plan.bytes:,} bytes moved")
        print_calls(plan, explain, everything)
    print_memory(found)


def print_presets(as_json: bool) -> None:
    rows = []
    for name, (about, vocab_size, fields) in PRESETS.items():
        rows.append((name, f"{GPT(vocab_size=vocab_size, **fields).n_parameters:,}", f"{vocab_size:,}", about))
    if as_json:
        click.echo(json.dumps({name: {"vocab_size": v, **fields} for name, (_, v, fields) in PRESETS.items()}))
    else:
        print_table(("preset", "parameters", "tokens", ""), rows)


def draw(plan: Plan, scope: str, dot: bool, svg: Path | None) -> None:
    nodes = graph_of(plan, scope)
    if dot:
        click.echo(to_dot(nodes, scope))
    if svg:
        atomic_write(svg, to_svg(nodes, scope).encode("utf-8"))
        click.echo(f"{svg}: the calls of {scope}", err=True)


def print_parameters(found: Forecast, everything: bool) -> None:
    shown, folded = fold(list(found.model.parameters()), lambda p: p.name, everything)
    rows = [(p.name, show_shape(p.shape, p.value.format), f"{p.value.size:,}") for p in shown]
    rows += (
        [("...", f"{len(folded)} more, in further blocks", f"{sum(p.value.size for p in folded):,}")] if folded else []
    )
    print_table(("parameter", "shape", "numbers"), [*rows, ("all", "", f"{found.model.n_parameters:,} parameters")])


def fold(rows: list[Row], name: Callable[[Row], str], everything: bool) -> tuple[list[Row], list[Row]]:
    """The rows to show, and those of the blocks after the first, which are like it."""
    later = [not everything and LATER_BLOCK.match(name(row)) is not None for row in rows]
    return [row for row, off in zip(rows, later) if not off], [row for row, off in zip(rows, later) if off]


def print_calls(plan: Plan, explain: bool, everything: bool) -> None:
    """A line a call: what it writes, and until which call that lives."""
    headers = ["#", "scope", "call", "writes", "lives", "FLOPs", "bytes", "kernel"]
    shown, folded = fold(list(enumerate(plan.calls)), lambda row: call_scope(plan, row[1]), everything)
    rows = []
    for at, call in shown:
        written = [plan.values[i] for i in call.written]
        shapes = ", ".join(show_shape(v.shape) for v in written)
        lives = ", ".join("always" if v.role == "persistent" else f"{v.first}-{v.last}" for v in written)
        name = f"{call.op.name}.{call.method}" + (f" sets {', '.join(call.sets)}" if call.sets else "")
        name += " again" if call.again else ""
        row = [str(at), call_scope(plan, call), name, shapes, lives, f"{call.flops:,}", f"{call.bytes:,}", call.backend]
        chosen = "forced by kernels:" if call.forced else "first choice"
        rows.append([*row, "; ".join(call.refusals) or chosen] if explain else row)
    print_table([*headers, "why"] if explain else headers, rows)
    if folded:
        click.echo(f"... and {len(folded)} calls of further blocks: --all")


def call_scope(plan: Plan, call: PlanCall) -> str:
    """Where a call belongs: its scope, or the parameter that it updates."""
    changed = plan.values[call.written[0]]
    return call.scope or (changed.name if changed.role == "persistent" else "")


def print_memory(found: Forecast) -> None:
    every = sum(v.nbytes for v in found.micro.values if v.role != "persistent")
    notes = {
        "values": f"{every:,} without reuse; batch {show_shape(found.batch)}",
        "workspace": "the most that one call makes beside them",
        "plans": f"of {found.shapes} shapes of batches" if found.shapes > 1 else "",
    }
    rows = [(name, f"{n:,}", notes.get(name, "")) for name, n in found.memory.items() if n]
    free = available_memory()
    fits = free is None or sum(found.memory.values()) - found.process_bytes <= free
    verdict = "" if free is None else f"{free:,} more are free" + ("" if fits else ": it won't fit")
    rows.append(("peak", f"{found.peak_bytes:,}", verdict))
    rows.append(("a checkpoint", f"{found.checkpoint_bytes:,}", f"on disk; at most {found.disk_bytes:,} in all"))
    click.echo("")
    print_table(("memory", "bytes", ""), rows)
    click.echo(f"\n{found.step_flops:,} FLOPs a step")
