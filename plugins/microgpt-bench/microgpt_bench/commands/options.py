"""The options that several of `microgpt bench`'s commands have."""

import re
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import click

from microgpt_core.cli.options import json_option

COMMA = re.compile(r",(?![^\[{]*[\]}])")  # but for those in a list or a mapping
FILE = click.Path(dir_okay=False, path_type=Path)


class Names(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.4 on
    """Several names with commas between them."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return value if isinstance(value, tuple) else tuple(name.strip() for name in value.split(",") if name.strip())


class Choices(click.ParamType):  # type: ignore[type-arg]
    """A setting with several values, as one override for each."""

    name = "choices"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        key, equals, values = value.partition("=")
        if not (key and equals and values):
            self.fail(f"{value!r}: expected KEY=VALUE,VALUE, for example train.recompute=0,1", param, ctx)
        return tuple(f"{key}={one.strip()}" for one in COMMA.split(values))


def effort_options(rounds: int, processes: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """How long to measure, and what to do with what is found."""
    options = (
        click.option("--rounds", default=rounds, show_default=True, type=click.IntRange(1), help="In each process."),
        click.option(
            "--processes", default=processes, show_default=True, type=click.IntRange(1),
            help="Of each candidate: where one has its memory is chance.",
        ),
        click.option("--no-pin", is_flag=True, help="Let the system move processes between cores."),
        click.option(
            "--save", is_flag=False, flag_value="", metavar="[FILE]",
            help="Keep everything as JSON: in FILE, or under the time in the folder bench, for `list` and `trend`.",
        ),
        click.option("--markdown", type=FILE, metavar="FILE", help="Write a table for a pull request."),
        click.option("--svg", type=FILE, metavar="FILE", help="Draw the speeds."),
        json_option,
    )  # fmt: skip
    return lambda command: decorated(command, options)


def decorated(command: Callable[..., Any], options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """A command with options that are listed in this order."""
    return reduce(lambda wrapped, option: option(wrapped), reversed(options), command)
