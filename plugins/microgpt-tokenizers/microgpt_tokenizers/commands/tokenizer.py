"""`microgpt tokenizer`: learn a vocabulary, use one, look at one, choose its size."""

from importlib import import_module
from typing import Any

import click

from microgpt_core.cli.options import examples
from microgpt_core.cli.packs import require_known

# Name -> what it does. Each is the `command` of a module of its name in this package, imported when it is used.
COMMANDS = {
    "train": "Learn a vocabulary from text files.",
    "encode": "Text to ids.",
    "decode": "Ids to text.",
    "stats": "Count what a tokenizer makes of texts.",
    "optimize": "Find how large a vocabulary should be.",
    "convert": "Write a vocabulary in another format.",
}
EXAMPLES = examples(
    "tokenizer train my-texts/ --vocab-size 4096      writes tokenizer.json",
    "tokenizer optimize my-texts/ --sizes 512,1024,2048,4096",
    "tokenizer stats my-texts/ --tokenizer tokenizer.json",
    "run my.yaml --set tokenizer.use=bpe --set tokenizer.file=tokenizer.json",
)


class Commands(click.Group):
    """The commands, known by name before any is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"microgpt_tokenizers.commands.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        require_known(ctx, args[0], COMMANDS, f"{self.name}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group("tokenizer", cls=Commands, epilog=EXAMPLES)
def command() -> None:
    """Tokenizers by themselves: learn a vocabulary, use one, look at one, choose its size."""
