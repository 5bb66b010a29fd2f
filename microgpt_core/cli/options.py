"""Options that several commands have, so that they look and mean the same everywhere."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from microgpt_core.plugins.selection import AllowCode, Without


def after_environment(ctx: click.Context, parameter: click.Parameter, typed: tuple[str, ...]) -> tuple[str, ...]:
    """What MICROGPT_SET changes, then what was typed, which goes before it."""
    from microgpt_core.pipeline.reading.overrides import from_environment  # brings YAML, which not every command needs

    return (*from_environment(), *typed)


set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", callback=after_environment,
    help="Change a value of the pipeline, such as model.n_layer=4. May be repeated. MICROGPT_SET does the same.",
)  # fmt: skip


def examples(*lines: str) -> str:
    """The end of a command's help: what can be typed, each line without `microgpt`."""
    return "\b\nExamples:\n" + "".join(f"  microgpt {line}\n" for line in lines)


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


def code_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--allow-code`, below `plugin_option`, for what reads a pipeline."""

    @click.option("--allow-code", is_flag=True, help="Run the Python files that `plugins:` in the pipeline names.")
    @wraps(command)
    def with_code(*args: Any, allow_code: bool, plugins: tuple[Any, ...], **given: Any) -> Any:
        return command(*args, plugins=(*plugins, AllowCode()) if allow_code else plugins, **given)

    return with_code
