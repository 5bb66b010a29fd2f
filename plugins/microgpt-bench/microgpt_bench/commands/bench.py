"""`microgpt bench`: steps, ops, generation, starting, tokenizers, checkpoints, each candidate in its own process."""

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from microgpt_bench.bench import Question, bench, no_roof_known
from microgpt_bench.commands.compare import command as compare_command
from microgpt_bench.commands.history import baseline_command, list_command, trend_command
from microgpt_bench.measuring.race import Effort
from microgpt_bench.report.chart import chart
from microgpt_bench.report.markdown import to_markdown
from microgpt_bench.report.notes import notes
from microgpt_bench.report.table import tables
from microgpt_bench.results.result import Report
from microgpt_bench.results.store import as_json as report_json, default_path, save as save_report
from microgpt_bench.roofline.least import least_step, least_token
from microgpt_bench.work import checkpoint as checkpoints, tokenize as tokenizing
from microgpt_bench.work.kernels import usable_backends
from microgpt_bench.work.startup import COMMANDS
from microgpt_bench.work.step import LONGEST
from microgpt_core.cli.options import json_option
from microgpt_core.cli.table import print_table
from microgpt_core.errors import ConfigurationError
from microgpt_core.storage.atomic import atomic_write

EXAMPLES = """\b
Examples:
  microgpt bench step --model e16,char-small --backend reference,numpy --against torch
  microgpt bench ops --model e64
  microgpt bench startup
  microgpt bench step --save before.json      then change something, and
  microgpt bench step --save after.json
  microgpt bench compare before.json after.json
  microgpt bench step --save                  or keep it under its time, and
  microgpt bench baseline                     have later runs compared with it
  microgpt bench step --save
  microgpt bench compare                      the latest with the baseline
  microgpt bench trend                        all that were kept
"""
STEP_EXAMPLES = """\b
Examples:
  microgpt bench step --model e16,char-small --backend reference,numpy --against torch
  microgpt bench step --model w64 --rounds 20 --processes 5 --json > result.json
  microgpt bench step --environment base=../base/.venv/bin/python
  microgpt bench step --model w64 --backend numpy --vary train.batching=packed,documents
  microgpt bench step --model e64 --backend numpy --vary train.recompute=0,1 --vary model.norm=rmsnorm,layernorm
"""
OPS_EXAMPLES = """\b
Examples:
  microgpt bench ops --model e64
  microgpt bench ops --model e16 --backend reference --save before.json
"""
GENERATE_EXAMPLES = """\b
Examples:
  microgpt bench generate --model char-small --against torch
  microgpt bench generate --model gpt2 --backend simd --precision float32,bfloat16 --against torch
"""
TOKENIZE_EXAMPLES = """\b
Examples:
  microgpt bench tokenize
  microgpt bench tokenize --tokenizer char --text book.txt --what encode,decode
"""
CHECKPOINT_EXAMPLES = """\b
Examples:
  microgpt bench checkpoint --model e64,char
"""
STARTUP_EXAMPLES = """\b
Examples:
  microgpt bench startup
  microgpt bench startup --what import --against torch
"""
AUTO = "auto"
OWN = ("microgpt",)  # of work that knows no backends
COMMA = re.compile(r",(?![^\[{]*[\]}])")  # but for those in a list or a mapping
LINE_EVERY = 5.0  # seconds, where there is no terminal
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


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who does what."""
    options = (
        click.option("--model", type=Names(), default="e16,e64", show_default=True, help="Golden models."),
        click.option("--backend", type=Names(), default=AUTO, help="Without it: all that are installed."),
        click.option("--precision", type=Names(), default="float32", show_default=True, help="float32, bfloat16."),
        click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of each candidate."),
        click.option("--against", type=Names(), default="", help="Peers, such as torch: the fastest way counts."),
        click.option(
            "--vary", type=Choices(), multiple=True, metavar="KEY=VALUE,VALUE",
            help="Race choices beside each other: train.recompute=0,1, kernels.attention=reference,numpy, "
            "train.batching=packed,documents, train.batch_size or model.FIELD. Of several, all combinations.",
        ),
        click.option(
            "--environment", multiple=True, metavar="NAME=PYTHON",
            help="Another Python environment's interpreter, raced beside this one's. May be repeated.",
        ),
    )  # fmt: skip
    return decorated(command, options)


longest_option = click.option(
    "--longest", type=click.FloatRange(0, min_open=True), default=LONGEST, show_default=True, metavar="SECONDS",
    help="Leave out what takes microgpt longer for a step.",
)  # fmt: skip


def decorated(command: Callable[..., Any], options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """A command with options that are listed in this order."""
    return reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@click.group("bench", epilog=EXAMPLES)
def command() -> None:
    """Measure how fast microgpt is, beside itself and beside other programs."""


@command.command("step", epilog=STEP_EXAMPLES)
@model_options
@longest_option
@click.option("--no-roof", is_flag=True, help="Leave out what share of this machine's peak is reached.")
@effort_options(8, 3)
def step(**given: Any) -> None:
    """Time training steps: forward, backward and AdamW.

    With --against, everybody computes the same losses and gradients first, or isn't timed.
    """
    show("step", measure("step", **given), **given)


@command.command("ops", epilog=OPS_EXAMPLES)
@model_options
@longest_option
@effort_options(4, 10)
def ops(**given: Any) -> None:
    """Time each op of a training step where it stands, among the others."""
    show("ops", measure("ops", **given), **given)


@command.command("generate", epilog=GENERATE_EXAMPLES)
@model_options
@click.option("--no-roof", is_flag=True, help="Leave out what share of this machine's bandwidth is reached.")
@effort_options(8, 3)
def generate(**given: Any) -> None:
    """Time generating, token by token; with --against, everybody writes the same tokens first."""
    show("generate", measure("generate", **given), **given)


@command.command("startup", epilog=STARTUP_EXAMPLES)
@click.option("--what", "model", type=Names(), default=",".join(COMMANDS), show_default=True, help="What is started.")
@click.option("--against", type=Names(), default="", help="torch.")
@effort_options(8, 3)
def startup(**given: Any) -> None:
    """Time starting: importing the package, --help, list; beside a bare interpreter."""
    report = measure("startup", backend=("microgpt", "python"), precision=("float32",), threads=1, **given)
    show("startup", report, **given)


@command.command("tokenize", epilog=TOKENIZE_EXAMPLES)
@click.option("--tokenizer", "tokenizers", type=Names(), default=AUTO, help="Without it: all that are installed.")
@click.option("--what", type=Names(), default=",".join(tokenizing.TASKS), show_default=True, help="What it does.")
@click.option("--text", type=FILE, metavar="FILE", help="Of this text. Without it: the packaged names.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of each candidate.")
@click.option("--against", type=Names(), default="", help="Peers that tokenize; the fastest counts.")
@effort_options(8, 3)
def tokenize(tokenizers: tuple[str, ...], what: tuple[str, ...], text: Path | None, **given: Any) -> None:
    """Time tokenizers: learning a vocabulary, text to numbers, numbers to text.

    With --against, everybody makes the same of the text first.
    """
    names = tokenizing.tokenizers() if tokenizers == (AUTO,) else tokenizers
    models = tuple(f"{name} {task}" for name, task in product(names, what))
    more = {"text": str(text.absolute()) if text else ""}
    report = measure("tokenize", model=models, backend=OWN, precision=("float32",), more=more, **given)
    show("tokenize", report, **given)


@command.command("checkpoint", epilog=CHECKPOINT_EXAMPLES)
@click.option("--model", type=Names(), default="e16,e64,char-small", show_default=True, help="Golden models.")
@click.option(
    "--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".", show_default=True,
    help="On which disk: where runs are.",
)  # fmt: skip
@effort_options(8, 3)
def checkpoint(model: tuple[str, ...], folder: Path, **given: Any) -> None:
    """Time checkpoints: saving as the trainer does, forced to the disk and verified, and loading, verified too."""
    models = tuple(f"{name} {task}" for name, task in product(model, checkpoints.TASKS))
    with TemporaryDirectory(prefix=".microgpt-bench-", dir=folder) as place:
        more = {"folder": str(Path(place).absolute())}
        report = measure(
            "checkpoint", model=models, backend=OWN, precision=("float32",), threads=1, against=(), more=more, **given
        )
    show("checkpoint", report, **given)


for further in (compare_command, list_command, baseline_command, trend_command):
    command.add_command(further)


def measure(
    kind: str, *, model: tuple[str, ...], backend: tuple[str, ...], precision: tuple[str, ...], threads: int,
    against: tuple[str, ...], rounds: int, processes: int, no_pin: bool, environment: tuple[str, ...] = (),
    vary: tuple[tuple[str, ...], ...] = (), more: Mapping[str, Any] | None = None, no_roof: bool = True,
    longest: float = LONGEST, **_: Any,
) -> Report:  # fmt: skip
    """What the options ask for. Progress goes to stderr."""
    backends = tuple(b.name for b in usable_backends()) if backend == (AUTO,) else backend
    environments = [named_python(text) for text in environment]
    choices = list(product(*vary))
    question = Question(kind, model, backends, precision, threads, against, environments, longest, choices, more or {})
    progress = Progress()
    try:
        least = least_token if kind == "generate" else least_step
        roof = no_roof_known if no_roof else partial(least, say=progress.say)
        return bench(question, Effort(rounds, processes, pinned=not no_pin), progress.say, roof)
    finally:
        progress.end()


def named_python(text: str) -> tuple[str, str]:
    """NAME=PYTHON as a pair. Raises ConfigurationError where there is no such interpreter."""
    name, equals, python = text.partition("=")
    if not (name and equals and Path(python).is_file()):
        raise ConfigurationError(
            f"--environment {text}: expected NAME=PYTHON, with an interpreter that is there: base=.venv/bin/python"
        )
    return name, python


def show(
    kind: str, report: Report, *, as_json: bool, save: str | None, markdown: Path | None, svg: Path | None, **_: Any
) -> None:
    """Print a report, and write it where that was asked for."""
    if as_json:
        click.echo(report_json(report), nl=False)
    else:
        for headers, rows in tables(report):
            print_table(headers, rows)
            click.echo()
        for note in notes(report):
            click.echo(note)
    if save is not None:
        path = Path(save) if save else default_path(kind)
        save_report(report, path)
        click.echo(f"kept in {path}", err=True)
    for file, text in ((markdown, to_markdown), (svg, chart)):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(file, text(report).encode("utf-8"))
    if not report.results:
        raise ConfigurationError("nothing was measured; see the reasons above")


class Progress:
    """What is going on, on stderr: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self.last = -LINE_EVERY

    def say(self, text: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)
        elif time.monotonic() - self.last >= LINE_EVERY:
            self.last = time.monotonic()
            click.echo(text, err=True)

    def end(self) -> None:
        """Leave the line empty for what comes next."""
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", err=True, nl=False)
