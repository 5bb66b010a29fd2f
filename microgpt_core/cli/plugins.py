"""`microgpt plugins`: which packs there are, what they can hook into, and how they come, go and are made.

Nothing here needs a pack to work: `install`, `uninstall` and `hooks` import none.
"""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from microgpt_core import hookspecs
from microgpt_core.cli.options import examples, json_option, plugin_option
from microgpt_core.cli.table import print_table
from microgpt_core.errors import MicrogptError
from microgpt_core.pipeline import builtin
from microgpt_core.plugins import installer
from microgpt_core.plugins.discovery import entry_points
from microgpt_core.plugins.hints import quoted
from microgpt_core.plugins.hooks import HOOKS
from microgpt_core.plugins.kinds import kind_named
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.pack import CORE, Pack
from microgpt_core.plugins.probe import probe
from microgpt_core.plugins.scaffold import KINDS_OF_PACKS, new_pack
from microgpt_core.plugins.selection import Plugins, Without

EXAMPLES = """\b
Examples:
  microgpt plugins list
  microgpt plugins install microgpt-mish
  microgpt plugins new op swish               a pack of your own, in ./microgpt-swish
  microgpt plugins install --editable ./microgpt-swish
  microgpt plugins test microgpt-swish
"""
SHOWN = 4  # names of a kind, in a table
dry_run_option = click.option("--dry-run", is_flag=True, help="Print the command, and don't run it.")


@click.group("plugins", epilog=EXAMPLES)
def command() -> None:
    """List, install, make and test packs: what brings components from other distributions.

    MICROGPT_PLUGINS=a,b allows only these packs, and none where it is empty; --no-plugin NAME leaves one out.
    MICROGPT_STRICT_PLUGINS=1 makes an error of a pack that fails, MICROGPT_TRACE_PLUGINS=1 prints every call of a
    hook, MICROGPT_IMPORT_LIMIT=30 gives each pack 30 seconds to be loaded in instead of 10.
    """


@command.command("list", epilog=examples("plugins list", "plugins list --hook microgpt_ops"))
@click.option("--all", "everything", is_flag=True, help="List the core's own pack too.")
@click.option("--hook", metavar="NAME", help="Only the packs with this hook, such as microgpt_ops.")
@plugin_option
@json_option
def list_packs(everything: bool, hook: str | None, plugins: Plugins, as_json: bool) -> None:
    """List the packs: state, components, file. One that can't be used says why on stderr."""
    packs = load(builtin, plugins).packs
    if hook:
        kind = kind_named(hook.removeprefix("microgpt_")).name
        packs = [pack for pack in packs if kind in pack.components]
    packs = [pack for pack in packs if everything or pack.name != CORE]
    if as_json:
        click.echo(json.dumps([pack.to_dict() for pack in packs], indent=2))
    elif packs:
        print_packs(packs)
    else:
        click.echo("none; to get one: microgpt plugins install NAME, to make one: microgpt plugins new op NAME")


def print_packs(packs: Iterable[Pack]) -> None:
    rows = [(pack.name, pack.origin, described(pack.state, pack.stage), brings(pack), pack.file) for pack in packs]
    print_table(("pack", "from", "state", "brings", "file"), rows)


def described(state: str, stage: str) -> str:
    return f"{state} ({stage})" if stage else state


def brings(pack: Pack) -> str:
    """`tokenizers: bpe, word`; of many names the first and how many more."""
    if pack.state == "disabled":
        return str(pack.error)
    parts = []
    for kind, found in pack.components.items():
        names = sorted(found)
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        parts.append(f"{kind}: {', '.join(names[:SHOWN])}{more}")
    return "; ".join(parts)


@command.command("hooks", epilog=examples("plugins hooks --json"))
@json_option
def hooks(as_json: bool) -> None:
    """List the hooks: what a pack can bring, and how each is written."""
    found = [getattr(hookspecs, name) for name in HOOKS]
    rows = [(hook.__name__, signature_of(hook), hook.__doc__.partition("\n")[0]) for hook in found]
    if as_json:
        data = [dict(zip(("name", "signature", "doc"), row)) for row in rows]
        click.echo(json.dumps({"api": hookspecs.API, "group": hookspecs.GROUP, "hooks": data}, indent=2))
        return
    click.echo(f"version {hookspecs.API} of the plugin API; entry points in the group {hookspecs.GROUP}\n")
    print_table(("hook", "signature", "what it brings"), rows)


def signature_of(hook: Callable[..., Any]) -> str:
    """`() -> Mapping[str, Any] | None`: without the names of modules."""
    return re.sub(r"[\w.]+\.", "", str(inspect.signature(hook)))


@command.command("install", epilog=examples("plugins install microgpt-mish", "plugins install -e ./microgpt-swish"))
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--upgrade", is_flag=True, help="Take the newest version, where one is installed already.")
@click.option("--editable", "-e", is_flag=True, help="Of a folder: what is changed in it counts at once.")
@dry_run_option
def install(targets: tuple[str, ...], upgrade: bool, editable: bool, dry_run: bool) -> None:
    """Install packs into this environment, with its own pip. TARGET is a distribution, or a folder with one."""
    before = entry_points(hookspecs.GROUP, hookspecs.FAMILY)
    run_pip(installer.pip_command("upgrade" if upgrade else "install", targets, editable), dry_run)
    importlib.invalidate_caches()
    known = {point[:4] for point in before}
    new = {p.distribution for p in entry_points(hookspecs.GROUP, hookspecs.FAMILY) if p[:4] not in known}
    if not new:
        click.echo("no pack came in that wasn't there before")
        return
    others = [Without(point.distribution) for point in before if point.distribution not in new]
    packs = [pack for pack in load(builtin, others, read=probe).packs if pack.distribution in new]
    print_packs(packs)
    sys.exit(any(pack.failure for pack in packs))


@command.command("uninstall", epilog=examples("plugins uninstall microgpt-mish"))
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@dry_run_option
def uninstall(names: tuple[str, ...], dry_run: bool) -> None:
    """Uninstall packs, by their names or their distributions', whatever state they are in."""
    distributions = [installer.distribution_named(name) for name in names]
    run_pip(installer.pip_command("uninstall", distributions), dry_run)


def run_pip(words: list[str], dry_run: bool) -> None:
    """Run pip, its words to stderr, or print the command and end. Raises MicrogptError where pip fails."""
    shown = " ".join(map(quoted, words))
    if dry_run:
        click.echo(shown)
        sys.exit()
    if code := subprocess.run(words, stdout=2).returncode:
        raise MicrogptError(f"pip ended with code {code}: {shown}")


@command.command("test", epilog=examples("plugins test microgpt-mish", "plugins test ./mish.py"))
@click.argument("pack", metavar="PACK|FILE")
@json_option
def test(pack: str, as_json: bool) -> None:
    """Try everything that an installed PACK, or the one in a Python FILE, brings. Exits with 1 where a check fails."""
    from microgpt_core.testing.conformance import test_pack  # as large as the rest

    report = test_pack(pack)
    click.echo(json.dumps(report.to_dict(), indent=2) if as_json else str(report))
    sys.exit(0 if report else 1)


@command.command("new", epilog=examples("plugins new op swish", "plugins new tokenizer syllables -o packs"))
@click.argument("kind", type=click.Choice(KINDS_OF_PACKS))
@click.argument("name")
@click.option("--output", "-o", default=".", type=click.Path(path_type=Path), help="The folder to make it in [here].")
@plugin_option
def new(kind: str, name: str, output: Path, plugins: Plugins) -> None:
    """Make a pack with one component of KIND, called NAME: a package to install, with a test that passes.

    The NAME of a kernel is BACKEND/OP, both of which must be installed.
    """
    folder = new_pack(kind, name, output, load(builtin, plugins))
    shown = str(folder) if folder.is_absolute() else os.path.join(".", folder)  # a bare name is a distribution to pip
    use = {
        "op": f"run names --set model.activation={name}",
        "kernel": f"plan names --explain --set backend={name.partition('/')[0]}",
        "analyzer": f'run names --set "analyzers=[{name}]"',
    }.get(kind, f"run names --set {kind}={name}")
    click.echo(f"{shown} is a pack with the {kind} {name!r}. Next:", err=True)
    for line in (f"plugins install --editable {quoted(shown)}", f"plugins test {folder.name}", use):
        click.echo(f"microgpt {line}")
