"""`microgpt tokenizer encode`: text to ids."""

import json
from typing import BinaryIO

import click

from microgpt_core.cli.options import examples, json_option, plugin_option
from microgpt_core.components import Tokenizer
from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.plugins.selection import Plugins
from microgpt_tokenizers.bpe.tokenizer import Bpe
from microgpt_tokenizers.commands.source import find_tokenizer, pattern_option, tokenizer_option

EXAMPLES = examples(
    "tokenizer encode book.txt",
    "tokenizer encode --tokenizer latest --json < book.txt",
    "tokenizer encode chat.txt --special '<|user|>'    the name in the text means the token",
)


@click.command("encode", epilog=EXAMPLES)
@click.argument("file", type=click.File("rb"), default="-")
@tokenizer_option
@pattern_option
@click.option("--special", multiple=True, metavar="NAME", help="A special token to obey in the text. May be repeated.")
@plugin_option
@json_option
def command(
    file: BinaryIO, source: str, pattern: str | None, special: tuple[str, ...], plugins: Plugins, as_json: bool
) -> None:
    """Print the ids of FILE, or of the standard input, with spaces between them."""
    tokenizer = find_tokenizer(source, pattern, plugins)
    ids = encode(tokenizer, read(file), special)
    click.echo(json.dumps(ids) if as_json else " ".join(map(str, ids)))


def encode(tokenizer: Tokenizer, text: str, special: tuple[str, ...]) -> list[int]:
    if not special:
        return tokenizer.encode(text)
    if not isinstance(tokenizer, Bpe):
        raise ConfigurationError(f"--special: a {tokenizer.name} tokenizer has no special tokens; only bpe has")
    return tokenizer.encode(text, allow_special=special)


def read(file: BinaryIO) -> str:
    """The text, to the byte: line ends stay what they are. Raises DataError for what isn't UTF-8."""
    try:
        return file.read().decode()
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02X} at offset {error.start}"
        name = getattr(file, "name", "the standard input")  # which may be a stream without one
        raise DataError(f"{name}: {found} isn't UTF-8 text, as it has to be here; convert it first") from None
