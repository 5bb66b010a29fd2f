"""Results as Markdown, for a pull request: tables that are pictures, too, since each number has a bar."""

from collections.abc import Iterable, Sequence

from microgpt_bench.report.chart import speed
from microgpt_bench.report.notes import notes
from microgpt_bench.report.table import tables
from microgpt_bench.report.verdicts import HEADERS, heading, remarks, row, summary
from microgpt_bench.results.comparison import Comparison
from microgpt_bench.results.result import Report

BAR = 20  # characters of the longest


def to_markdown(report: Report) -> str:
    """What the terminal shows, and a chart of the speeds."""
    found = [table(headers, rows) for headers, rows in tables(report)]
    parts = [*found, *charts(report), bullets(notes(report)), bullets(facts(report))]
    return "\n\n".join(filter(None, parts)) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """The outcome first, then what isn't the same, then everything."""
    rows = [row(verdict) for verdict in comparison.verdicts]
    changed = [cells for cells in rows if cells[-1] != "same"]
    return (
        "\n\n".join(
            [
                f"### {heading(comparison)}",
                bullets(summary(comparison).splitlines()),
                *([table(HEADERS, changed)] if changed else []),
                folded(f"all {len(rows)}", table(HEADERS, rows)),
                bullets(remarks(comparison)),
            ]
        )
        + "\n"
    )


def charts(report: Report) -> Iterable[str]:
    """A bar for each candidate's speed, model by model: longer is faster."""
    whole = [result for result in report.results if not result.op]
    for model in dict.fromkeys(result.model for result in whole):
        speeds = {f"{r.candidate} {r.precision}": speed(r, r.median_ms) for r in whole if r.model == model}
        if len(speeds) > 1:
            longest, most = max(map(len, speeds)), max(speeds.values()) or 1.0
            lines = [
                f"{name:<{longest}}  {'█' * max(1, round(BAR * speed / most)):<{BAR}}  {speed:>12,.0f}"
                for name, speed in speeds.items()
            ]
            unit = "tokens a second" if any(r.tokens for r in whole) else "times a second"
            yield "\n".join([f"{model}, {unit}:", "", "```text", *lines, "```"])


def facts(report: Report) -> Iterable[str]:
    machine = report.machine
    yield ", ".join(str(machine[name]) for name in ("cpu", "system", "python", "blas", "time") if machine.get(name))


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe in a cell would end it."""
    lines = [headers, ["---"] * len(headers), *([cell.replace("|", "\\|") for cell in cells] for cells in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"* {line}" for line in lines if line)


def folded(title: str, text: str) -> str:
    """Hidden until it's clicked at."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"
