"""`microgpt tokenizer decode`: ids to text."""

import json
import re
from typing import BinaryIO

import click

from microgpt_core.cli.options import examples, json_option, plugin_option
from microgpt_core.errors import DataError
from microgpt_core.plugins.selection import Plugins
from microgpt_tokenizers.commands.encode import read
from microgpt_tokenizers.commands.source import find_tokenizer, pattern_option, tokenizer_option

EXAMPLES = examples(
    "tokenizer decode ids.txt",
    "tokenizer encode < book.txt | microgpt tokenizer decode",
    "tokenizer decode --json < ids.txt          each token by itself",
)


@click.command("decode", epilog=EXAMPLES)
@click.argument("file", type=click.File("rb"), default="-")
@tokenizer_option
@pattern_option
@plugin_option
@json_option
def command(file: BinaryIO, source: str, pattern: str | None, plugins: Plugins, as_json: bool) -> None:
    """Print the text of the ids in FILE, or the standard input: numbers, or a JSON list of them.

    The text is printed as it is, without a line end behind it. With --json: the text, and what each token brings.
    """
    tokenizer = find_tokenizer(source, pattern, plugins)
    ids = read_ids(read(file))
    text = tokenizer.decode(ids)
    if as_json:
        tokens = [{"id": i, "text": tokenizer.decode_bytes(i).decode("utf-8", "replace")} for i in ids]
        click.echo(json.dumps({"text": text, "tokens": tokens}, ensure_ascii=False, indent=2))
    else:
        click.echo(text.encode(), nl=False)


def read_ids(text: str) -> list[int]:
    """Numbers with white space, commas or brackets between them. Raises DataError for anything else."""
    words = re.split(r"[\s,\[\]]+", text)
    if wrong := [word for word in words if word and not re.fullmatch(r"-?[0-9]{1,10}", word)]:
        raise DataError(f"found {wrong[0]!r:.60}, expected ids: whole numbers with white space or commas between them")
    return [int(word) for word in words if word]
