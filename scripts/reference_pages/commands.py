"""Commands: every command's --help."""

import click

from microgpt_core.cli.main import COMMANDS, main as program
from reference_pages import page_top

ABOUT = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 numbers that aren't finite, 4 won't fit, "
    "130 interrupted."
)


def page() -> str:
    parts = [page_top("Commands", ABOUT)]
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
