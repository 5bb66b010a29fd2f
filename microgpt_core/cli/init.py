"""`microgpt init`: a first pipeline for a text of one's own."""

import re
from pathlib import Path

import click

from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.pipeline.init import UTF_8, default_name, starter
from microgpt_core.pipeline.reading.top_level import FILE_NAME
from microgpt_core.plugins.hints import quoted
from microgpt_core.storage.atomic import atomic_write

EXAMPLES = """\b
Examples:
  microgpt init --data my-texts/              writes my-texts.yaml
  microgpt init --data "notes/**/*.md" --name notes
  microgpt init                               for names, as something to change
"""


@click.command("init", epilog=EXAMPLES, context_settings={"allow_extra_args": True})
@click.option("--data", metavar="PATH", help="A text file, a folder with *.txt files, or a glob in quotes.")
@click.option("--encoding", default=UTF_8, show_default=True, help="Of the text: utf-16, latin-1, cp1252, ...")
@click.option("--name", help="The file is NAME.yaml [like the data].")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
def command(data: str | None, encoding: str, name: str | None, force: bool) -> None:
    """Look at a text of your own, and write a pipeline for it: a few lines, each with its reason. It runs at once."""
    if extra := click.get_current_context().args:
        said = f"a text of your own is named so: --data {quoted(extra[0])}"
        if data:
            said = f"found {data} already; a glob goes in quotes, which keep the shell from writing it out"
        raise click.UsageError(f"unexpected {extra[0]!r}: {said}")
    name = (name or "").removesuffix(".yaml").removesuffix(".yml") or default_name(data)
    if not FILE_NAME.fullmatch(name):
        raise ConfigurationError(f"--name {name}: that can't be a file's name; use letters, digits, - and _")
    path = Path(f"{name}.yaml")
    if path.exists() and not force:
        raise ConfigurationError(f"{path} is there already; choose another --name, or replace it with --force")
    try:
        text = starter(data, f"./{path}", encoding)
    except DataError as error:  # it says what to set in a pipeline, which isn't there yet
        raise DataError(re.sub(r"`encoding:?( [\w-]+)?`", r"`--encoding\1`", str(error))) from None
    atomic_write(path, text.encode("utf-8"))
    click.echo(f"wrote {path}; now: microgpt run {quoted(f'./{path}')}")
