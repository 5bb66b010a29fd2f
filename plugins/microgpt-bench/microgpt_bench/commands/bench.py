"""`microgpt bench`: steps, ops, generation, starting, tokenizers, checkpoints, each candidate in its own process."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from microgpt_bench.commands.compare import command as compare_command
from microgpt_bench.commands.history import baseline_command, list_command, trend_command
from microgpt_bench.commands.measured import AUTO, measure, show
from microgpt_bench.commands.options import Choices, Names, decorated, effort_options
from microgpt_bench.commands.tokenize import command as tokenize_command
from microgpt_bench.work import checkpoint as checkpoints
from microgpt_bench.work.startup import COMMANDS
from microgpt_bench.work.step import LONGEST

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
CHECKPOINT_EXAMPLES = """\b
Examples:
  microgpt bench checkpoint --model e64,char
"""
STARTUP_EXAMPLES = """\b
Examples:
  microgpt bench startup
  microgpt bench startup --what import --against torch
"""
OWN = ("microgpt",)  # of work that knows no backends


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
            "passes=auto,[], train.batching=packed,documents, train.batch_size or model.FIELD. Of several, all "
            "combinations.",
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


for further in (tokenize_command, compare_command, list_command, baseline_command, trend_command):
    command.add_command(further)
