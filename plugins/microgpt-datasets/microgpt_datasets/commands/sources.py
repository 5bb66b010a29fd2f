"""What a command of this pack reads: a pipeline's text, or files that are named."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from microgpt_core.cli.options import plugin_option, set_option
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.source import SUFFIXES, packaged
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.selection import Plugins
from microgpt_datasets.shards import INDEX

READERS = {".jsonl": "jsonl", ".csv": "csv"}


def run_of(
    sources: Sequence[str],
    document: str | None,
    encoding: str | None,
    tokenizer: str | None,
    overrides: Sequence[str],
    plugins: Plugins,
) -> Run:
    """The run that a pipeline describes, or one on the files. Raises PipelineError, and ConfigurationError for both."""
    registry, first = load(builtin, plugins), sources[0]
    settings = [f"tokenizer={tokenizer}"] if tokenizer else []
    if first in packaged() or Path(first).suffix in SUFFIXES:
        if len(sources) > 1 or document or encoding:
            raise ConfigurationError(
                f"{first} is a pipeline, which says itself what it reads; "
                "name it alone, without --document and --encoding"
            )
    else:
        paths, use = [str(Path(source).absolute()) for source in sources], reader(sources)
        dataset: dict[str, Any] = {"use": use, "path": paths[0] if use == "shards" else paths}
        dataset |= {key: said for key, said in (("document", document), ("encoding", encoding)) if said}
        settings.append(f"dataset={json.dumps(dataset)}")
        first = "names"
    pipeline = read_pipeline(first, registry, [*settings, *overrides])
    return Run(pipeline, registry, Path())


def reader(sources: Sequence[str]) -> str:
    """The dataset that reads these files: by what they are called."""
    found = {next((use for end, use in READERS.items() if end in Path(source).suffixes), "files") for source in sources}
    if any((Path(source) / INDEX).is_file() for source in sources):
        if len(sources) > 1:
            raise ConfigurationError(f"{', '.join(sources)}: shards among them; name one folder of shards alone")
        return "shards"
    if len(found) > 1:
        raise ConfigurationError(f"{', '.join(sources)} are of several kinds; name those of one kind, or a pipeline")
    return found.pop()


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command of the pack takes."""
    for option in (
        plugin_option,
        set_option,
        click.option("--tokenizer", metavar="NAME", help="Of files: which tokenizer; char without it."),
        click.option("--encoding", help="Of files: utf-16, latin-1, cp1252, ...; utf-8 without it."),
        click.option(
            "--document", type=click.Choice(["file", "line", "paragraph"]), help="Of files: what a document is."
        ),
        click.argument("sources", nargs=-1, required=True, metavar="PIPELINE|FILE..."),
    ):
        command = option(command)
    return command
