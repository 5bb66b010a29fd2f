"""What a report has to say beside its numbers: who agreed, who couldn't run, where the noise is too large."""

from collections.abc import Iterator

from microgpt_bench.measuring.agree import ALLOWED
from microgpt_bench.report.table import number
from microgpt_bench.results.result import Ratio, Report


def notes(report: Report) -> Iterator[str]:
    """Lines to print below the tables."""
    if report.agreement:
        worst = max(max(differs.values()) for differs in report.agreement.values())
        allowed = f"allowed: {ALLOWED['float32']:g} in float32, {ALLOWED['bfloat16']:g} in bfloat16"
        yield f"the same work: losses and gradients differ by at most {worst:.1e} of their size ({allowed})"
    for ratio in report.ratios:
        yield meaning(ratio)
    for who, why in report.skipped.items():
        yield f"left out: {who.partition(': ')[0]}: {why}"


def meaning(ratio: Ratio) -> str:
    """A ratio as a sentence."""
    who = f"{ratio.model}: {ratio.candidate} {ratio.precision}"
    other = f"{ratio.against} ({', '.join(filter(None, [ratio.against_way, ratio.against_precision]))})"
    interval = f"rounds {number(ratio.p10)}-{number(ratio.p90)}"
    if ratio.undecided:
        return f"warning: {who} beside {other}: the noise is larger than the difference ({interval}); measure longer"
    faster = (
        f"{number(ratio.ratio)} times as fast as"
        if ratio.ratio >= 1
        else f"{number(1 / ratio.ratio)} times slower than"
    )
    return f"{who} is {faster} {other}, {interval}"
