"""Options that several commands have, so that they look and mean the same everywhere."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from microgpt_core.plugins.selection import Without

set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Change a value of the pipeline, such as model.n_layer=4. May be repeated.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def plugin_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--plugin FILE` and `--no-plugin NAME`, in what the command gets as `plugins`."""

    @click.option(
        "--plugin", "files", multiple=True, metavar="FILE", type=click.Path(path_type=Path),
        help="Run this Python file and use the components that it defines. May be repeated.",
    )  # fmt: skip
    @click.option(
        "--no-plugin", "left_out", multiple=True, metavar="NAME",
        help="Leave an installed pack out: nothing of it is imported. May be repeated.",
    )  # fmt: skip
    @wraps(command)
    def with_plugins(*args: Any, files: tuple[Path, ...], left_out: tuple[str, ...], **given: Any) -> Any:
        return command(*args, plugins=(*files, *map(Without, left_out)), **given)

    return with_plugins
