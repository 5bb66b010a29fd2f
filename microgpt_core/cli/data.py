"""`microgpt data`: the cache of well-known texts. `get` is the only command that opens a connection."""

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

import click

from microgpt_core.cli.options import examples, json_option
from microgpt_core.cli.packs import Extended
from microgpt_core.cli.table import print_table
from microgpt_core.errors import DataError
from microgpt_core.pipeline import builtin
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.pack import PluginError
from microgpt_core.text import cache

log = logging.getLogger(__name__)


@click.group("data", cls=Extended, epilog=examples("data list", "data get ssa-names", "data add ssa-names names.txt"))
def command() -> None:
    """List, fetch and add well-known texts, each known by its checksum."""


def known() -> dict[str, cache.Entry]:
    """The texts of the core's catalogue, and those that packs' datasets are made of."""
    registry, found = load(builtin), cache.catalogue()
    for name in registry.names("datasets"):
        try:
            cls = registry.get("datasets", name)
        except PluginError as error:  # the others' texts can be listed
            log.warning("%s", error)
            continue
        if entry := getattr(cls, "entry", None):
            found[entry.name] = entry
    return found


@command.command("list", epilog=examples("data list --json"))
@json_option
def list_data(as_json: bool) -> None:
    """List the texts, and which of them are in the cache."""
    entries = known().values()
    if as_json:
        click.echo(json.dumps([asdict(e) | {"cached": cache.cached(e) is not None} for e in entries], indent=2))
        return
    rows = [
        (e.name, "yes" if cache.cached(e) else "no", f"{e.size:,}", e.licence, e.sha256[:12], e.about) for e in entries
    ]
    print_table(("name", "cached", "bytes", "licence", "sha256", "what it is"), rows)


@command.command("add", epilog=examples("data add ssa-names names.txt"))
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
def add(name: str, file: Path) -> None:
    """Copy FILE into the cache as NAME, if its checksum is the right one."""
    click.echo(cache.add(cache.entry(name, known()), file))


@command.command("get", epilog=examples("data get ssa-names", "data get ssa-names --offline"))
@click.argument("name")
@click.option("--offline", is_flag=True, help="Open no connection: fail where it isn't in the cache.")
def get(name: str, offline: bool) -> None:
    """Fetch NAME over the network, unless it is in the cache."""
    entry = cache.entry(name, known())
    if not cache.cached(entry, verify=offline):
        if offline:
            raise DataError(f"{name} isn't in the cache; without a network: microgpt data add {name} FILE")
        click.echo(f"fetching {entry.url}", err=True)
    with click.progressbar(length=entry.size, file=sys.stderr) as bar:
        path = cache.get(entry, lambda done, size: bar.update(done - bar.pos))
    click.echo(path)
