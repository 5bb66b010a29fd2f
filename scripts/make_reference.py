"""Write docs/reference/ from the program itself: commands, components, ops.

    python scripts/make_reference.py [--check]

With --check nothing is written; the exit code is 1 where a page isn't what the program says.
"""

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from microgpt_core.cli.main import COMMANDS, main as program
from microgpt_core.components import SLOTS, Unary, fits_slot
from microgpt_core.ops import OPS
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.settings import COMPONENTS, SETTINGS, SUPPLIED, plain
from microgpt_core.pipeline.yaml_writer import write_yaml
from microgpt_core.plugins.fields import Field, fields_of, type_text
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.selection import Without

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
MADE = "<!-- made by scripts/make_reference.py; change the program instead -->"
EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 numbers that aren't finite, 4 won't fit, "
    "130 interrupted."
)
ABOUT_COMPONENTS = (
    "Every key of the YAML file, with its default. `microgpt show KIND NAME` prints the same, for packs too."
)
ABOUT_OPS = "Of each op: the signature (a question mark: may be left out), what it makes, and its file's opening words."


def page_top(title: str, about: str) -> str:
    return f"# {title}\n\n{MADE}\n\n{about}\n"


def commands() -> str:
    """Every command's --help."""
    parts = [page_top("Commands", EXIT_CODES)]
    root = click.Context(program, info_name="microgpt", terminal_width=100)
    for name in COMMANDS:
        command = program.get_command(root, name)
        assert command is not None
        parts.append(help_page(command, click.Context(command, root, info_name=name, terminal_width=100)))
        if isinstance(command, click.Group):
            for child in command.commands.values():
                context = click.Context(command, root, info_name=name)
                parts.append(help_page(child, click.Context(child, context, info_name=child.name, terminal_width=100)))
    return "\n".join(parts)


def help_page(command: click.Command, context: click.Context) -> str:
    return f"## {context.command_path}\n\n```text\n{command.get_help(context).strip()}\n```\n"


def components() -> str:
    """Every section of a pipeline, and the fields of whatever it can name."""
    registry = load(builtin, map(Without, installed_packs()))
    parts = [page_top("What a pipeline can say", ABOUT_COMPONENTS)]
    for section, (kind, default) in COMPONENTS.items():
        parts.append(f"## {section}\n\n`{section}: {default}` where it isn't given.\n")
        for name in registry.names(kind):
            about = registry.describe(kind, name)
            table = fields_table([f for f in about.fields if f.name not in SUPPLIED.get(section, {})])
            parts.append(f"### {section}: {name}\n\n{about.doc}\n{table}")
    for section, cls in SETTINGS.items():
        first = inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]
        parts.append(f"## {section}\n\n{first}\n{fields_table(fields_of(cls))}")
    return "\n".join(parts)


def installed_packs() -> list[str]:
    """The packs to leave out: the reference is the core's, wherever it is made."""
    return [pack.name for pack in load(builtin).packs]


def fields_table(fields: list[Field]) -> str:
    if not fields:
        return ""
    rows = [f"| `{f.name}` | {type_text(f.type)} | {default(f)} | {f.doc} |" for f in fields]
    return "\n".join(["", "| field | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def default(field: Field) -> str:
    if field.required:
        return "required"
    return f"`{write_yaml({'x': plain(field.default)}).strip().removeprefix('x: ')}`"


def ops_page() -> str:
    """Every op: its signature, its formula, the slots that it fits."""
    parts = [page_top("Ops", ABOUT_OPS)]
    for name, op in OPS.items():
        signature, doc = op.signature, sys.modules[type(op).__module__].__doc__ or ""
        slots = [slot for slot in SLOTS if fits_slot(op, slot)]
        facts = list(op_facts(signature.outputs, signature.saved, op.mutates, slots))
        path = f"../../{type(op).__module__.replace('.', '/')}.py"
        kind = ", elementwise" if isinstance(op, Unary) else ""
        head = f"## {name}\n\n[`{name}{signature}`]({path}){kind}. {'; '.join(facts)}.\n"
        parts.append(f"{head}\n```text\n{doc.strip()}\n```\n")
    return "\n".join(parts)


def op_facts(
    outputs: tuple[str, ...], saved: tuple[str, ...], mutates: tuple[str, ...], slots: list[str]
) -> Iterator[str]:
    yield f"Makes {', '.join(outputs) or 'nothing new'}"
    if saved:
        yield f"saves {', '.join(saved)} for backward"
    if mutates:
        yield f"changes {', '.join(mutates)} in place"
    if slots:
        yield f"fits {', '.join(slots)}"


PAGES = {"commands.md": commands, "components.md": components, "ops.md": ops_page}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/reference/ from the program itself.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is out of date")
    check = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        page, path = make(), FOLDER / name
        if path.is_file() and path.read_text(encoding="utf-8") == page:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page, encoding="utf-8", newline="\n")
    print(f"{'out of date' if check else 'written'}: {', '.join(stale) or 'nothing'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
