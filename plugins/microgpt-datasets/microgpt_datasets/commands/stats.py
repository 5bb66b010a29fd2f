"""`microgpt data stats`: how much text there is, what comes twice, and what of the held-out text was learned from."""

import json

import click

from microgpt_core.cli.options import examples, json_option
from microgpt_core.cli.table import print_table
from microgpt_core.errors import ConfigurationError
from microgpt_core.plugins.selection import Plugins
from microgpt_datasets.commands.sources import run_of, source_options
from microgpt_datasets.shards import Shards, verify as check_bytes
from microgpt_datasets.statistics import WORDS, Statistics, measure, percent


@click.command(
    "stats",
    epilog=examples(
        "data stats names", "data stats mine.yaml --json", "data stats texts/", "data stats numbers --verify"
    ),
)
@source_options
@click.option(
    "--words", type=click.IntRange(1), default=WORDS, show_default=True, help="Of a run that texts may share."
)
@click.option("--verify", is_flag=True, help="Of shards: read every byte, and compare it with what was written.")
@json_option
def command(
    sources: tuple[str, ...],
    document: str | None,
    encoding: str | None,
    tokenizer: str | None,
    overrides: tuple[str, ...],
    plugins: Plugins,
    words: int,
    verify: bool,
    as_json: bool,
) -> None:
    """Count the text of a PIPELINE, or of FILES, and say how much of what is held out is in the training text.

    FILES may be a folder of shards.
    """
    run = run_of(sources, document, encoding, tokenizer, overrides, plugins)
    if verify:
        if not isinstance(run.dataset, Shards):
            raise ConfigurationError("--verify: this is text; shards are what can be compared")
        n = sum(len(split["shards"]) for split in check_bytes(run.dataset.folder)["splits"].values())
        click.echo(f"{run.dataset.folder}: what was written, to the bit ({n} shards)", err=True)
    found = measure(run, words)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
        return
    show(found)


def show(found: Statistics) -> None:
    characters = sum(s.characters for s in found.splits.values())
    rows = [
        (
            name,
            f"{s.documents:,}",
            f"{s.characters:,}",
            f"{percent(s.characters, characters):.1f} %",
            f"{s.tokens:,}",
            "" if s.duplicates is None else f"{s.duplicates:,}",
            "" if s.longest is None else f"{s.shortest:,}-{s.longest:,}",
        )
        for name, s in found.splits.items()
    ]
    print_table(("split", "documents", "characters", "share", "tokens", "duplicates", "lengths"), rows)
    if shared := found.contamination:
        click.echo(f"held-out documents that are in the training text: {shared.documents:.2f} %")
        click.echo(f"that share {shared.words} words in a row with it:         {shared.overlapping:.2f} %")
        click.echo(f"runs of {shared.words} held-out words that are in it:      {shared.ngrams:.2f} %")
        if shared.example:
            click.echo(f"such as: {shared.example}")
