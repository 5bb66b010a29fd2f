"""`microgpt show`: one component as YAML to paste, with every field, its default and its meaning."""

import json
from pathlib import Path
from textwrap import indent
from typing import Any

import click

from microgpt_core.cli.options import examples, json_option, plugin_option
from microgpt_core.cli.plot import save_lines
from microgpt_core.components import SLOTS, Op, fits_slot
from microgpt_core.errors import UnknownNameError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.preview.rates import factors
from microgpt_core.pipeline.reading.settings import LISTED, SECTIONS, SUPPLIED, plain
from microgpt_core.pipeline.reading.source import packaged
from microgpt_core.pipeline.reading.yaml_reader import read_yaml
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.plugins.fields import Field, type_text
from microgpt_core.plugins.kinds import kind_named
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Description, Registry
from microgpt_core.plugins.selection import Plugins

EXAMPLES = examples(
    "show model gpt",
    "show op rmsnorm",
    "show pipeline names > mine.yaml",
    "show schedule cosine --plot cosine.svg --set warmup_steps=50",
)


@click.command("show", epilog=EXAMPLES)
@click.argument("kind")
@click.argument("name")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Draw a schedule.")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="With --plot: one of its fields. May be repeated."
)
@click.option("--max-steps", type=click.IntRange(min=1), default=1000, show_default=True, help="With --plot.")
@plugin_option
@json_option
def command(
    kind: str, name: str, plot: Path | None, changes: tuple[str, ...], max_steps: int, plugins: Plugins, as_json: bool
) -> None:
    """Show the component NAME of a KIND (see `microgpt list`), or `pipeline NAME`."""
    if changes and plot is None:
        raise click.UsageError("--set is for --plot FILE, which draws a schedule with these fields")
    if plot:
        draw(load(builtin, plugins), kind, name, plot, changes, max_steps)
        return
    if kind in ("pipeline", "pipelines"):
        if name not in packaged():
            raise UnknownNameError("pipeline", name, packaged())
        text = packaged()[name].read_text(encoding="utf-8")
        click.echo(json.dumps(read_yaml(text, name).data, indent=2) if as_json else text, nl=as_json)
        return
    registry = load(builtin, plugins)
    about = registry.describe(kind, name)
    click.echo(json.dumps(as_data(about), indent=2) if as_json else as_text(registry, about), nl=as_json)


def draw(registry: Registry, kind: str, name: str, file: Path, changes: tuple[str, ...], max_steps: int) -> None:
    """A schedule's factor at every step, in a picture."""
    if kind not in ("schedule", "schedules"):
        raise click.UsageError(f"--plot draws a schedule, not: {kind}")
    y = factors(registry, registry.full_name(kind, name), changes, max_steps)
    title = ", ".join([name, *changes])
    save_lines(file, title, "step", "factor of optimizer.lr", {name: (range(max_steps), y)})
    click.echo(f"{file}: {name} over {max_steps:,} steps, from {y[0]:.4g} to {y[-1]:.4g}", err=True)


def as_text(registry: Registry, about: Description) -> str:
    """Comments that say what it is, then the YAML that uses it."""
    kind = kind_named(about.kind)
    origin = f"{about.distribution} {about.version}".strip()
    head = f"# {about.name}: {about.doc}\n# {'an' if kind.one[0] in 'aeiou' else 'a'} {kind.one} of {origin}\n"
    if about.kind in (*SECTIONS, *LISTED):
        return head + section(registry.full_name(about.kind, about.name), about)
    if about.kind == "ops":
        return head + op_text(registry.get("ops", about.name))
    keys = {
        "backends": "backend: {}\n",
        "kernels": "# kernels: {{OP: BACKEND}}\n",
        "stages": "stages: [train, {}]\n",
        "formats": "# microgpt export MODEL --format {}\n",
        "passes": "passes: [{}]\n",
        "peers": "# microgpt bench step --against {}\n",
    }
    return head + keys.get(about.kind, "").format(about.name)


def section(use: str, about: Description) -> str:
    """`optimizer:` and below it a line for each field; `callbacks:` with one of them."""
    name, listed = SECTIONS.get(about.kind, about.kind), about.kind in LISTED
    shown = [f for f in about.fields if f.name not in SUPPLIED.get(name, {})]
    texts = [(f"{f.name}:" if f.required else write_yaml({f.name: plain(f.default)}).strip()) for f in shown]
    lines = [(*text.partition("\n"), meaning(f)) for text, f in zip(texts, shown)]  # of a component's, more follow
    width = max((len(line) for line, *_ in lines), default=0)
    written = (f"{line:{width}}  # {said}{end}{below}\n" for line, end, below, said in lines)
    body = indent("".join([f"use: {use}\n", *written]), "    " if listed else "  ")
    return f"{name}:\n{f'  - {body[4:]}' if listed else body}"


def meaning(field: Field) -> str:
    said = f"{type_text(field.type)}: {field.doc}" if field.doc else type_text(field.type)
    return f"required; {said}" if field.required else said


def op_text(op: Any) -> str:
    """An op's signature, and where a model can name it."""
    op = op if isinstance(op, Op) else op()
    slots = [slot for slot in SLOTS if fits_slot(op, slot)]
    use = f"# fits: {', '.join(slots)}\nmodel: {{{slots[0]}: {op.name}}}\n" if slots else ""
    return f"# {op}\n{use}"


def as_data(about: Description) -> dict[str, Any]:
    supplied = SUPPLIED.get(SECTIONS.get(about.kind, ""), {})
    fields = [
        {"name": f.name, "type": type_text(f.type), "required": f.required, "doc": f.doc}
        | ({} if f.required else {"default": plain(f.default)})
        for f in about.fields
        if f.name not in supplied
    ]
    return vars(about) | {"fields": fields}
