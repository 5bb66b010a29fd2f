"""Options that several commands have, so that they look and mean the same everywhere."""

from pathlib import Path

import click

set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Change a value of the pipeline, such as model.n_layer=4. May be repeated.",
)  # fmt: skip
plugin_option = click.option(
    "--plugin", "plugins", multiple=True, metavar="FILE", type=click.Path(path_type=Path),
    help="Run this Python file and use the components that it defines. May be repeated.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
