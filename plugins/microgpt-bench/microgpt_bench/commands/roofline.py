"""`microgpt roofline`: what this machine could do, what a training step needs, and what it reaches of that."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.racer import Racer
from microgpt_bench.roofline.advice import Advice, Situation, advise
from microgpt_bench.roofline.kept import roof_of_machine
from microgpt_bench.roofline.page import page
from microgpt_bench.roofline.picture import draw
from microgpt_bench.roofline.points import Point, by_op, by_part, whole
from microgpt_bench.roofline.roof import Roof, given
from microgpt_bench.roofline.side_by_side import HEADERS, PRECISION, Needs, as_data, needs, rows
from microgpt_bench.roofline.subject import Subject, find_subject
from microgpt_bench.roofline.tables import MACHINE, group_rows, headers, machine_rows
from microgpt_bench.work.kernels import usable_backends
from microgpt_core.cli.options import json_option, set_option
from microgpt_core.cli.table import print_table
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.runs.cpu import cores, cpu
from microgpt_core.storage.atomic import atomic_write

SECONDS = 2.0  # that steps are timed for

EXAMPLES = """\b
Examples:
  microgpt roofline char-small                 every op of a golden model's step under the roof
  microgpt roofline names --backend reference  the same of a pipeline, in pure Python
  microgpt roofline gpt2 --no-time             what the step needs at least; nothing is run
  microgpt roofline char --html char.html --advise
  microgpt roofline e16 --peak-gflops 100 --bandwidth 20   of a machine that isn't here
  microgpt roofline --all-configs --json       what every golden model needs, for other programs
"""


@dataclass
class Findings:
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
        return about(self.roof)

    def to_dict(self) -> dict[str, Any]:
        return {
            "model": self.subject.name, "precision": self.subject.precision, "cpu": cpu()[0],
            "roof": self.roof.to_dict(), "step": self.step.to_dict(), "ops": [g.to_dict() for g in self.ops],
            "parts": [g.to_dict() for g in self.parts], "advice": [one.to_dict() for one in self.advice],
        }  # fmt: skip


def about(roof: Roof) -> str:
    threads = "1 thread" if roof.threads == 1 else f"{roof.threads} threads"
    return f"{threads} of {cpu()[0]}; roof by {roof.by}"


@click.command("roofline", epilog=EXAMPLES)
@click.argument("subject", required=False, metavar="[GOLDEN|PRESET|PIPELINE|RUN]")
@click.option("--all-configs", is_flag=True, help="Instead of a subject: every golden model, without times.")
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
    subject: str | None,
    all_configs: bool,
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
    if all_configs:
        if subject or html or svg or advising:
            raise click.UsageError("--all-configs is one table; leave out SUBJECT, --html, --svg and --advise")
        every = needs(backend, overrides)
        show_all(every, find_roof(PRECISION, threads, again, peak_gflops, bandwidth), as_json)
        return
    if subject is None:
        raise click.UsageError("expected what to look at, such as e16 or names; of every golden model: --all-configs")
    what = find_subject(subject, backend, overrides)
    roof = find_roof(what.precision, threads, again, peak_gflops, bandwidth)
    points = what.points(None if no_time else times(subject, backend, overrides, threads))
    advice = advise(situation(what, roof, points)) if advising else []
    findings = Findings(what, roof, points, advice)
    if svg or html:
        write(findings, html, svg)
    if as_json:
        click.echo(json.dumps(findings.to_dict()))
    else:
        show(findings, advising)


def say(text: str) -> None:
    click.echo(text, err=True)


def check_threads(threads: int) -> None:
    """Raises ConfigurationError for more than have a core: their times would say nothing of this machine."""
    if threads > cores():
        raise ConfigurationError(
            f"--threads: found {threads}, allowed: at most {cores()}, the cores that it may use here"
        )


def find_roof(precision: str, threads: int, again: bool, peak: float | None, bandwidth: float | None) -> Roof:
    """The machine's, with the numbers that were given in their places; nothing is measured where both were."""
    flops, rate = (1e9 * x if x else None for x in (peak, bandwidth))
    if flops and rate:
        return given(precision, flops, rate, threads)
    check_threads(threads)
    return roof_of_machine(threads, again, say).override(precision, flops, rate)


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
    others = [b.name for b in usable_backends()]
    rows, width = what.batch.shape
    return Situation(points, roof, others, rows * width, cores(), what.accumulation)


def write(findings: Findings, html: Path | None, svg: Path | None) -> None:
    picture = draw(findings.ops, findings.roof, findings.title, findings.about, findings.subject.precision)
    if svg:
        atomic_write(svg, picture.encode("utf-8"))
        say(f"{svg}: the picture")
    if html:
        kinds = (("op", findings.ops), ("part", findings.parts))
        tables = [(f"By {what}", headers(what, groups), group_rows(groups, findings.step)) for what, groups in kinds]
        tables.append(("The machine", MACHINE, machine_rows(findings.roof)))
        made = page(findings.title, findings.about, picture, tables, findings.advice, findings.roof.notes)
        atomic_write(html, made.encode("utf-8"))
        say(f"{html}: the page, for any browser")


def show(findings: Findings, advising: bool) -> None:
    """On a terminal: the machine, the ops, and advice."""
    click.echo(f"{findings.title}: {findings.about}\n")
    show_machine(findings.roof)
    print_table(headers("op", findings.ops), group_rows(findings.ops, findings.step))
    if advising:
        click.echo("\nwhat would make it faster, by at most so much:" if findings.advice else "\nno advice")
        for one in findings.advice:
            click.echo(f"  {one.gain:.1f} times: {one.what}\n      {one.because}")


def show_machine(roof: Roof) -> None:
    print_table(MACHINE, machine_rows(roof))
    for note in roof.notes:
        click.echo(f"({note})")
    click.echo("")


def show_all(every: Needs, roof: Roof, as_json: bool) -> None:
    """Every golden model in one table, or as JSON."""
    if as_json:
        data = {"cpu": cpu()[0], "precision": PRECISION, "roof": roof.to_dict(), "models": as_data(every, roof)}
        click.echo(json.dumps(data))
        return
    click.echo(f"every golden model: {about(roof)}\n")
    show_machine(roof)
    print_table(HEADERS, rows(every, roof))
