"""`microgpt data prepare`: a pipeline's text, or files, as token shards."""

import json
import sys
import time
from pathlib import Path

import click

from microgpt_core.cli.options import examples, json_option
from microgpt_core.plugins.hints import quoted
from microgpt_core.plugins.selection import Plugins
from microgpt_datasets.commands.sources import run_of, source_options
from microgpt_datasets.preparing.prepare import SHARD_TOKENS, prepare
from microgpt_datasets.preparing.writing import usable_cores

LINE_EVERY = 5.0  # seconds, where there is no terminal


@click.command("prepare", epilog=examples("data prepare mine.yaml", "data prepare books/ --tokenizer char -o shards"))
@source_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The folder; in the cache without it.")
@click.option("--processes", type=click.IntRange(1), help="How many encode at once; without it, one a core.")
@click.option(
    "--shard-tokens", type=click.IntRange(1024), default=SHARD_TOKENS, show_default=True, help="Tokens of a shard."
)
@json_option
def command(
    sources: tuple[str, ...],
    document: str | None,
    encoding: str | None,
    tokenizer: str | None,
    overrides: tuple[str, ...],
    plugins: Plugins,
    output: Path | None,
    processes: int | None,
    shard_tokens: int,
    as_json: bool,
) -> None:
    """Turn the text of a PIPELINE, or FILES, into numbers once, for trainings that memory has no room for.

    The folder holds the shards and their tokenizer. What was made of the same text isn't made again; what was stopped
    is gone on with.
    """
    run = run_of(sources, document, encoding, tokenizer, overrides, plugins)
    said = time.monotonic()
    with click.progressbar(length=0, file=sys.stderr, label="documents") as bar:

        def progress(split: str, done: int, total: int) -> None:
            nonlocal said
            bar.label, bar.length = split, total
            bar.update(done - bar.pos)
            if not sys.stderr.isatty() and time.monotonic() - said >= LINE_EVERY:
                said = time.monotonic()
                click.echo(f"{split}: {done:,} of {total:,} documents", err=True)

        made = prepare(run, output, processes=processes or usable_cores(), shard_tokens=shard_tokens, progress=progress)
    splits = made.index["splits"]
    tokens = {name: sum(shard["tokens"] for shard in split["shards"]) for name, split in splits.items()}
    if as_json:
        click.echo(
            json.dumps({"folder": str(made.folder), "was_there": made.was_there, "tokens": tokens, **made.index})
        )
        return
    how = "there already, of the same text" if made.was_there else "prepared"
    held_out = f", {tokens['validation']:,} held out" if tokens["validation"] else ""
    click.echo(f"{how}: {tokens['train']:,} tokens{held_out}, in {made.folder}", err=True)
    click.echo(f"dataset: {{use: shards, path: {quoted(made.folder)}}}")
