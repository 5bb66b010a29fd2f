"""What a report has to say beside its numbers: who agreed, who couldn't run, where the noise is too large."""

from collections.abc import Iterator

from microgpt_bench.measuring.agree import ALLOWED
from microgpt_bench.report.table import label
from microgpt_bench.results.result import Ratio, Report
from microgpt_bench.roofline.scale import digits


def notes(report: Report) -> Iterator[str]:
    """Lines to print below the tables."""
    yield from same_work(report)
    told = {label(found): found.settings for found in report.results if found.settings}
    yield from (f"{who}: {settings}" for who, settings in told.items())
    yield from report.remarks
    yield from other_sizes(report)
    yield from one_precision(report)
    for ratio in report.ratios:
        yield meaning(ratio)
    for who, why in report.skipped.items():
        yield f"left out: {who.partition(': ')[0]}: {why}"


def same_work(report: Report) -> Iterator[str]:
    """By how much those differ who were timed, in each precision; and who was timed without having been compared."""
    worst: dict[str, float] = {}
    for found in report.results:
        differs = report.agreement.get(f"{found.model}: {label(found)}", {})
        if differs and found.bench == "step" and not found.op:
            worst[found.precision] = max(worst.get(found.precision, 0.0), *differs.values())
        elif found.peer and not differs and found.bench in ("step", "generate"):
            yield f"warning: {found.model}: {label(found)} wasn't compared with microgpt, so it may do other work"
    for precision, most in worst.items():
        yield (
            f"the same work: in {precision}, losses and gradients differ by at most {most:.1e} of their size "
            f"(allowed: {ALLOWED[precision]:g})"
        )


def other_sizes(report: Report) -> Iterator[str]:
    """Where a turn isn't as large for everybody."""
    for model in dict.fromkeys(found.model for found in report.results):
        tokens = {found.tokens for found in report.results if found.model == model and not found.op}
        if len(tokens) > 1:
            least, most = (f"{size:.4g}" for size in (min(tokens), max(tokens)))
            yield f"{model}: a step has {least} to {most} targets, so ratios are of targets a second"


def one_precision(report: Report) -> Iterator[str]:
    """Where other programs weren't tried in all that they have."""
    found = {one.precision for one in report.results if one.peer and one.bench in ("step", "generate")}
    if len(found) == 1:
        yield f"others ran in {found.pop()} only; their best of all settings: --precision float32,bfloat16"


def meaning(ratio: Ratio) -> str:
    """A ratio as a sentence."""
    who = f"{ratio.model}: {ratio.candidate} {ratio.precision}"
    other = f"{ratio.against} ({', '.join(filter(None, [ratio.against_way, ratio.against_precision]))})"
    interval = f"rounds {digits(ratio.p10)}-{digits(ratio.p90)}"
    if ratio.undecided:
        return f"warning: {who} beside {other}: the noise is larger than the difference ({interval}); measure longer"
    if ratio.ratio >= 1:
        return f"{who} is {digits(ratio.ratio)} times as fast as {other}, {interval}"
    return f"{who} takes {digits(1 / ratio.ratio)} times as long as {other}, {interval}"
