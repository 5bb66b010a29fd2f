"""`microgpt doctor`: whether this installation is well, in a form to paste into a bug report."""

import json
import sys
from typing import Any

import click

from microgpt_core.cli.options import examples, json_option
from microgpt_core.cli.plugins import described
from microgpt_core.cli.table import print_table
from microgpt_core.pipeline.installation import diagnose


@click.command("doctor", epilog=examples("doctor", "doctor --json > about.json"))
@json_option
def command(as_json: bool) -> None:
    """Look over this installation: versions, machine, packs, and what to fix. Exits with 1 where there is something.

    Each pack is imported in a process of its own, which may take MICROGPT_IMPORT_LIMIT seconds (10). What is printed
    can be shown to anybody: the home folder is ~, and of variables there are only names.
    """
    diagnosis = diagnose()
    if as_json:
        click.echo(json.dumps(diagnosis, indent=2))
    else:
        packs, to_fix = diagnosis["packs"], diagnosis["to fix"]
        for name, fact in diagnosis.items():
            if isinstance(fact, str):
                click.echo(f"{name:<13} {fact}")
        for backend, said in diagnosis["backends"].items():
            for name, fact in said.items():
                click.echo(f"{f'{backend} {name}':<13} {fact}")
        click.echo("")
        if packs:
            print_table(("pack", "from", "state", "import", "file"), [pack_row(pack) for pack in packs])
        click.echo("\nto fix:" if to_fix else "\nnothing to fix")
        for line in to_fix:
            click.echo(f"- {line}")
    sys.exit(1 if diagnosis["to fix"] else 0)


def pack_row(pack: dict[str, Any]) -> tuple[str, ...]:
    origin, time = f"{pack['distribution']} {pack['version']}", f"{1e3 * pack['seconds']:.0f} ms"
    return pack["name"], origin, described(pack["state"], pack["stage"]), time, pack["file"]
