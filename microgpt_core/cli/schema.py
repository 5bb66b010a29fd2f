"""`microgpt schema`: the JSON Schema of pipelines, for editors that complete and check while one types."""

import json
from pathlib import Path

import click

from microgpt_core.cli.options import plugin_option
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.json_schema import pipeline_schema
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.selection import Plugins
from microgpt_core.storage.atomic import atomic_write

EXAMPLES = """\b
Example:
  microgpt schema --output pipeline.schema.json
and as the first line of a pipeline beside it, for editors with a YAML language server:
  # yaml-language-server: $schema=pipeline.schema.json
"""


@click.command("schema", epilog=EXAMPLES)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file instead.")
@plugin_option
def command(output: Path | None, plugins: Plugins) -> None:
    """Print the JSON Schema (draft 2020-12) of pipelines, with the components of every pack that is installed."""
    text = json.dumps(pipeline_schema(load(builtin, plugins)), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    atomic_write(output, text.encode("utf-8"))
    link = output.as_posix().replace(" ", "%20")
    click.echo(f"{output}: begin a pipeline with  # yaml-language-server: $schema={link}", err=True)
