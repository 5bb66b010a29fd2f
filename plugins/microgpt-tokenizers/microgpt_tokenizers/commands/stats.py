"""`microgpt tokenizer stats`: what a tokenizer makes of texts."""

import json
from functools import partial
from math import log2

import click

from microgpt_core.cli.options import examples, json_option, plugin_option
from microgpt_core.cli.table import print_table
from microgpt_core.components import Tokenizer
from microgpt_core.plugins.selection import Plugins
from microgpt_tokenizers.commands.source import find_or_learn, pattern_option, tokenizer_option
from microgpt_tokenizers.commands.texts import encoding_option, pieces
from microgpt_tokenizers.statistics import Statistics, measure

EXAMPLES = examples(
    "tokenizer stats my-texts/",
    "tokenizer stats book.txt --tokenizer latest --top 50",
    "tokenizer stats book.txt --tokenizer char          learned from the same text",
)


@click.command("stats", epilog=EXAMPLES)
@click.argument("paths", nargs=-1, required=True, metavar="FILES...")
@tokenizer_option
@pattern_option
@encoding_option
@click.option("--top", default=20, show_default=True, type=click.IntRange(0), help="How many frequent tokens to list.")
@plugin_option
@json_option
def command(
    paths: tuple[str, ...],
    source: str,
    pattern: str | None,
    encoding: str,
    top: int,
    plugins: Plugins,
    as_json: bool,
) -> None:
    """Count what a tokenizer makes of FILES: compression, how evenly tokens are used, what is unknown.

    --tokenizer may also be the name of a component, such as char or word, which is learned from FILES first.
    """
    tokenizer = find_or_learn(source, partial(pieces, paths, encoding), pattern, plugins)
    statistics = measure(tokenizer, pieces(paths, encoding))
    if as_json:
        frequent = [{"id": i, "text": shown(tokenizer, i), "count": n} for i, n in statistics.counts.most_common(top)]
        click.echo(json.dumps(statistics.to_dict() | {"frequent": frequent}, indent=2))
        return
    for name, value in told(statistics).items():
        click.echo(f"{name:<20}  {value}")
    if top:
        click.echo()
        rows = [
            (str(i), repr(shown(tokenizer, i)), f"{n:,}", f"{100 * n / statistics.n_tokens:.2f} %")
            for i, n in statistics.counts.most_common(top)
        ]
        print_table(("id", "token", "count", "share"), rows)


def told(statistics: Statistics) -> dict[str, str]:
    found = {
        "vocabulary": f"{statistics.vocab_size:,}, of which {len(statistics.counts):,} are used",
        "tokens": f"{statistics.n_tokens:,}",
        "characters": f"{statistics.n_characters:,}",
        "characters per token": f"{statistics.characters_per_token:.3f}",
        "bytes per token": f"{statistics.bytes_per_token:.3f}",
        "entropy": f"{statistics.entropy:.3f} bits per token, of at most {log2(statistics.vocab_size):.3f}",
    }
    if (rate := statistics.unknown_rate) is not None:
        found["unknown"] = f"{100 * rate:.3f} %"
    return found


def shown(tokenizer: Tokenizer, token: int) -> str:
    return tokenizer.decode_bytes(token).decode("utf-8", "backslashreplace")
