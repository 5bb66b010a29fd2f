"""The program `microgpt`: which commands there are, and what happens when one fails.

A command is imported when it is used, so that `--help` is quick and works whatever is broken.
"""

import io
import os
import sys
from importlib import import_module
from signal import SIGINT
from typing import Any

import click

from microgpt_core import __version__
from microgpt_core.cli.packs import load_command, origins, pack_commands, require_known
from microgpt_core.errors import DoesNotFitError, Interrupted, MicrogptError, StorageError
from microgpt_core.plugins.pack import CORE_DISTRIBUTION

# Name -> what it does. Each is the `command` of a module of its name in this package.
COMMANDS = {
    "run": "Train a model as a pipeline says, then show what it learned.",
    "init": "Write the few lines that a text of your own needs.",
    "check": "Say what is wrong with a pipeline, all of it at once.",
    "plan": "Show what a pipeline will compute, and how much memory it needs.",
    "generate": "Let a trained model write.",
    "evaluate": "Measure a trained model on text.",
    "export": "Write a trained model to a file: a program, JSON, safetensors.",
    "list": "List the components that there are.",
    "show": "Show one component: every field, default and meaning.",
    "schema": "Print the JSON Schema of pipelines, for editors.",
    "runs": "List, show, compare and reproduce the runs that were made.",
    "data": "List, fetch and add well-known texts.",
    "plugins": "List, install, make and test packs.",
    "doctor": "Look over this installation, and say what to fix.",
}

EXAMPLES = """\b
Examples:
  microgpt run names                         train on names, then invent some
  microgpt run names --set model.n_layer=2   the same with one value changed
  microgpt show pipeline names               the file behind it, to start your own from
"""


class Commands(click.Group):
    """The commands of the core and of the packs, known by name before anything is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS) + [name for name in sorted(pack_commands()) if name not in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command: click.Command = import_module(f"microgpt_core.cli.{cmd_name}").command
            return command
        points = pack_commands().get(cmd_name)
        return load_command(points) if points else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in COMMANDS:
            require_known(ctx, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        if others := origins(pack_commands(), COMMANDS):
            with formatter.section("Commands of packs"):
                formatter.write_dl(others)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MicrogptError as error:
            click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
            ctx.exit(error.exit_code)
        except MemoryError:
            hint = "make the model, the batch or the block smaller; microgpt plan says what takes how much"
            click.echo(f"{click.style('error:', fg='red', bold=True)} there was no memory left; {hint}", err=True)
            ctx.exit(DoesNotFitError.exit_code)
        except OSError as error:
            if error.filename is None:  # a closed pipe, which click sees to, or a mistake of ours
                raise
            refused = StorageError(
                f"{error.filename}: {error.strerror}; check the name, the permissions and the room there", error.errno
            )
            click.echo(f"{click.style('error:', fg='red', bold=True)} {refused}", err=True)
            ctx.exit(refused.exit_code)
        except KeyboardInterrupt as error:
            stopped = error if isinstance(error, Interrupted) else Interrupted(SIGINT)
            click.echo(f"\n{stopped}", err=True)
            ctx.exit(stopped.exit_code)


def show_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"{CORE_DISTRIBUTION} {__version__}")
        ctx.exit()


@click.group(cls=Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Show the version."
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Train and run small GPT language models, from first principles."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a letter that the terminal or the pipe can't take is no reason to die
            stream.reconfigure(errors="replace")
