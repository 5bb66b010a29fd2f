"""`microgpt roofline`: what this machine could do, what a training step needs, and what it reaches of that."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.pin import cores
from microgpt_bench.measuring.racer import Racer
from microgpt_bench.roofline.advice import Advice, Situation, advise
from microgpt_bench.roofline.kept import roof_of_machine
from microgpt_bench.roofline.page import page
from microgpt_bench.roofline.picture import draw
from microgpt_bench.roofline.points import Point, by_op, by_part, whole
from microgpt_bench.roofline.roof import Roof, given
from microgpt_bench.roofline.subject import Subject, find_subject
from microgpt_bench.roofline.tables import MACHINE, group_rows, headers, machine_rows
from microgpt_bench.work.kernels import kernels_of
from microgpt_core.cli.options import json_option, set_option
from microgpt_core.cli.table import print_table
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.runs.cpu import cpu
from microgpt_core.storage.atomic import atomic_write

SECONDS = 2.0  # that steps are timed for

EXAMPLES = """\b
Examples:
  microgpt roofline char-small                 every op of a golden model's step under the roof
  microgpt roofline names --backend reference  the same of a pipeline, in pure Python
  microgpt roofline gpt2 --no-time             what the step needs at least; nothing is run
  microgpt roofline char --html char.html --advise
  microgpt roofline e16 --peak-gflops 100 --bandwidth 20   of a machine that isn't here
"""


@dataclass
class Found:
    """Everything that is shown, in whatever form."""

    subject: Subject
    roof: Roof
    points: list[Point]
    advice: list[Advice]

    def __post_init__(self) -> None:
        self.step, self.ops = whole(self.points, self.roof), by_op(self.points, self.roof)
        self.parts = by_part(self.points, self.roof)

    @property
    def title(self) -> str:
        backends = " and ".join(sorted({p.backend for p in self.points}))
        return f"{self.subject.name} on {backends}"

    @property
    def about(self) -> str:
        threads = "1 thread" if self.roof.threads == 1 else f"{self.roof.threads} threads"
        return f"{threads} of {cpu()[0]}; roof by {self.roof.by}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "model": self.subject.name, "precision": self.subject.precision, "cpu": cpu()[0],
            "roof": self.roof.to_dict(), "step": self.step.to_dict(), "ops": [g.to_dict() for g in self.ops],
            "parts": [g.to_dict() for g in self.parts], "advice": [one.to_dict() for one in self.advice],
        }  # fmt: skip


@click.command("roofline", epilog=EXAMPLES)
@click.argument("subject", metavar="GOLDEN|PRESET|PIPELINE|RUN")
@click.option("--backend", default="auto", show_default=True, help="Who computes.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="For the roof and the step.")
@click.option("--measure", "again", is_flag=True, help="Measure the machine again, though it was since it was started.")
@click.option(
    "--peak-gflops", type=click.FloatRange(min=0, min_open=True), help="The arithmetic, instead of measuring."
)
@click.option("--bandwidth", type=click.FloatRange(min=0, min_open=True), help="GB/s of memory, instead of measuring.")
@click.option("--no-time", is_flag=True, help="Run no step: only what each op needs at least.")
@click.option("--advise", "advising", is_flag=True, help="Say what would make the step faster, and by how much.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a page.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the picture.")
@set_option
@json_option
def command(
    subject: str,
    backend: str,
    threads: int,
    again: bool,
    peak_gflops: float | None,
    bandwidth: float | None,
    no_time: bool,
    advising: bool,
    html: Path | None,
    svg: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Put a training step under the roofline: what each op computes and moves, the least time that this machine could
    take for it, and how near it comes. GOLDEN is e16, char-small, gpt2 or another that never changes; RUN is a run's
    name, its folder, or `latest`.

    The machine is measured once after each start, which takes a while, and kept in microgpt's cache.
    """
    what = find_subject(subject, backend, overrides)
    roof = find_roof(what, threads, again, peak_gflops, bandwidth)
    points = what.points(None if no_time else times(subject, backend, overrides, threads))
    advice = advise(situation(what, roof, points)) if advising else []
    found = Found(what, roof, points, advice)
    if svg or html:
        write(found, html, svg)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    else:
        show(found, advising)


def say(text: str) -> None:
    click.echo(text, err=True)


def check_threads(threads: int) -> None:
    """Raises ConfigurationError for more than have a core: their times would say nothing of this machine."""
    if threads > cores():
        raise ConfigurationError(
            f"--threads: found {threads}, allowed: at most {cores()}, the cores that it may use here"
        )


def find_roof(what: Subject, threads: int, again: bool, peak: float | None, bandwidth: float | None) -> Roof:
    """The machine's, with the numbers that were given in their places; nothing is measured where both were."""
    flops, rate = (1e9 * x if x else None for x in (peak, bandwidth))
    if flops and rate:
        return given(what.precision, flops, rate, threads)
    check_threads(threads)
    return roof_of_machine(threads, again, say).override(what.precision, flops, rate)


def times(
    subject: str, backend: str, overrides: Sequence[str], threads: int
) -> tuple[Sequence[float], Sequence[float]]:
    """The nanoseconds of each call, timed in a process of its own."""
    check_threads(threads)
    say(f"timing steps of {subject}")
    with Racer(Candidate(backend, threads=threads)) as racer:
        racer.prepare("calls", {"name": subject, "overrides": list(overrides)})
        found = racer.tell(do="ask", what="times", seconds=SECONDS)
    return found["micro"], found["update"]


def situation(what: Subject, roof: Roof, points: Sequence[Point]) -> Situation:
    """What advice goes by: what is here beside what was used."""
    others = [b.name for b in kernels_of("auto").backends]
    rows, width = what.batch.shape
    return Situation(points, roof, others, rows * width, cores(), what.accumulation)


def write(found: Found, html: Path | None, svg: Path | None) -> None:
    picture = draw(found.ops, found.roof, found.title, found.about, found.subject.precision)
    if svg:
        atomic_write(svg, picture.encode("utf-8"))
        say(f"{svg}: the picture")
    if html:
        kinds = (("op", found.ops), ("part", found.parts))
        tables = [(f"By {what}", headers(what, groups), group_rows(groups, found.step)) for what, groups in kinds]
        tables.append(("The machine", MACHINE, machine_rows(found.roof)))
        made = page(found.title, found.about, picture, tables, found.advice, found.roof.notes)
        atomic_write(html, made.encode("utf-8"))
        say(f"{html}: the page, for any browser")


def show(found: Found, advising: bool) -> None:
    """On a terminal: the machine, the ops, and advice."""
    click.echo(f"{found.title}: {found.about}\n")
    print_table(MACHINE, machine_rows(found.roof))
    for note in found.roof.notes:
        click.echo(f"({note})")
    click.echo("")
    print_table(headers("op", found.ops), group_rows(found.ops, found.step))
    if advising:
        click.echo("\nwhat would make it faster, by at most so much:" if found.advice else "\nno advice")
        for one in found.advice:
            click.echo(f"  {one.gain:.1f} times: {one.what}\n      {one.because}")
