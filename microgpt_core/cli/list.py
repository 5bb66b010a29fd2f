"""`microgpt list`: what there is, kind by kind, and who brought it."""

import json

import click

from microgpt_core.cli.options import examples, json_option, plugin_option
from microgpt_core.cli.table import print_table
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.source import packaged
from microgpt_core.plugins.kinds import KINDS, kind_named
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry
from microgpt_core.plugins.selection import Plugins


@click.command("list", epilog=examples("list", "list optimizers", "list ops --plugin ./mish.py --json"))
@click.argument("kind", required=False)
@plugin_option
@json_option
def command(kind: str | None, plugins: Plugins, as_json: bool) -> None:
    """List the components of every kind, or those of KIND with what they are.

    KIND is one of ops, kernels, backends, tokenizers, datasets, optimizers, schedules, models, analyzers, callbacks,
    formats, stages, passes and peers.
    """
    registry = load(builtin, plugins)
    kinds = [kind_named(kind).name] if kind else [name for name in KINDS if registry.names(name)]
    if as_json:
        click.echo(
            json.dumps({name: [about(registry, name, c) for c in registry.names(name)] for name in kinds}, indent=2)
        )
    elif kind:
        components = [about(registry, kinds[0], name) for name in registry.names(kind)]
        print_table(("name", "from", "what it is"), [(c["name"], c["from"], c["doc"]) for c in components])
    else:
        names = {"pipelines": sorted(packaged())} | {name: registry.names(name) for name in kinds}
        print_table(("kind", "names"), [(name, ", ".join(found)) for name, found in names.items()])


def about(registry: Registry, kind: str, name: str) -> dict[str, str]:
    """One component in a line; one that can't be imported says why."""
    pack, _ = registry.find(kind, name)
    try:
        doc = registry.describe(kind, name).doc
    except ConfigurationError as error:
        doc = str(error)
    return {"name": name, "from": pack.origin, "doc": doc}
