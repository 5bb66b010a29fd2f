"""`microgpt export`: write a trained model as something that others can use."""

import json
from pathlib import Path

import click

from microgpt_core.cli.options import json_option, plugin_option
from microgpt_core.pipeline import trained
from microgpt_core.plugins.selection import Plugins

EXAMPLES = """\b
Examples:
  microgpt export latest                         one Python file that writes texts
  microgpt export names-1 --format json          one JSON file, which MODEL can be elsewhere
  microgpt export names-1 --format safetensors --output my-model
"""


@click.command("export", epilog=EXAMPLES, context_settings={"allow_extra_args": True})
@click.argument("model")
@click.option("--format", "-f", "format_name", default="python", show_default=True, help="See microgpt list formats.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path),
    help="The file or folder to write. Default: here, named as the run is.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an export that is there already.")
@plugin_option
@json_option
def command(model: str, format_name: str, output: Path | None, force: bool, plugins: Plugins, as_json: bool) -> None:
    """Write MODEL to a file: a run's or a model's folder, the name of a run, an exported file, or latest.

    The file is whole or not there at all, and an earlier one stays unless --force replaces it.
    """
    if extra := click.get_current_context().args:
        raise click.UsageError(f"expected one MODEL, found {extra[0]!r} too; a format is named so: --format {extra[0]}")
    path = trained.export(model, format_name, output, force=force, plugins=plugins)
    about = {"path": str(path), "format": format_name, "bytes": size(path)}
    click.echo(json.dumps(about, indent=2) if as_json else f"{path}  {about['bytes']:,} bytes")


def size(path: Path) -> int:
    """The bytes of a file, or of those in a folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
