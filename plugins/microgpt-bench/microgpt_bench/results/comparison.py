"""From files to verdicts: what can be compared with what, by which means, and what has to be said with it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from microgpt_bench.results.compare import Verdict, by_key, compare
from microgpt_bench.results.machines import beside_peers, differing, other_machine
from microgpt_bench.results.result import Report
from microgpt_core.errors import ConfigurationError

ENOUGH = 10  # processes of each, to find what --fail-on-regression is for
MEANS = {  # by which times become comparable
    "race": "one race: whole steps by the clock, round by round; ops beside the other ops of their step",
    "yardstick": "two runs: whole steps beside a fixed piece of work; ops beside the other ops of their step",
    "peer": "two machines: whole steps beside a peer that ran on both; single ops can't be compared",
}


@dataclass(frozen=True)
class Comparison:
    """Verdicts, and how they came about."""

    means: str  # one of MEANS
    percent: float
    verdicts: list[Verdict]
    differences: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # of the machines: what it was, what it is
    warnings: list[str] = field(default_factory=list)

    @property
    def regressions(self) -> list[Verdict]:
        """What has become slower, the worst for the step first."""
        slower = [verdict for verdict in self.verdicts if verdict.verdict == "slower"]
        return sorted(slower, key=lambda verdict: -verdict.share * (verdict.time_ratio - 1))

    @property
    def undecided(self) -> int:
        """How many are too noisy to say."""
        return sum(verdict.verdict == "undecided" for verdict in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        plain = asdict(self)
        for verdict in plain["verdicts"]:  # JSON has no infinity: null stands for a limit that nobody knows
            verdict["high"] = verdict["high"] if verdict["high"] < float("inf") else None
        return plain


def compare_reports(old: Report, new: Report, percent: float) -> Comparison:
    """Two runs, perhaps of two machines. Raises ConfigurationError where they have nothing in common."""
    differences = differing(old, new)
    means, a, b = "yardstick", old, new
    if other_machine(differences):
        means, (a, b) = "peer", beside_peers(old, new)
    if not by_key(a.results).keys() & by_key(b.results).keys():
        raise ConfigurationError(nothing_common(old, new, means))
    return Comparison(means, percent, compare(a, b, percent), differences, list(warnings(a, b)))


def compare_environments(report: Report, percent: float) -> Comparison:
    """The two environments of one race. Raises ConfigurationError where there aren't two."""
    names = list(dict.fromkeys(result.environment for result in report.results if not result.peer))
    if len(names) != 2:
        found = ", ".join(name or "this one" for name in names) or "none"
        why = "".join(f"\n  left out: {who}: {reason}" for who, reason in report.skipped.items())
        raise ConfigurationError(
            f"a single file is compared with itself where it has two environments; found: {found}.{why}\n"
            "Race two with: microgpt bench ops --environment base=PYTHON --save FILE, or give two files"
        )
    old, new = (replace(report, results=[r for r in report.results if r.environment == name]) for name in names)
    verdicts = compare(old, new, percent, same_race=True)
    return Comparison("race", percent, verdicts, warnings=list(warnings(old, new)))


def nothing_common(old: Report, new: Report, means: str) -> str:
    if means == "peer":
        return (
            "these are results of two machines, and no peer ran on both; measure both with --against torch, or both "
            "versions on one machine: microgpt bench ops --environment base=PYTHON"
        )
    one, other = (sorted({f"{r.bench} of {r.model} on {r.candidate}" for r in x.results}) for x in (old, new))
    return f"nothing was measured in both; found in the first: {', '.join(one)}; in the second: {', '.join(other)}"


def warnings(old: Report, new: Report) -> Iterator[str]:
    """What makes verdicts weaker than they look."""
    processes = min(len(result.rounds_ms) for report in (old, new) for result in report.results if not result.peer)
    if processes < ENOUGH:
        yield f"{processes} processes of each are few: with --processes {ENOUGH}, much less stays undecided"
    a, b = by_key(old.results), by_key(new.results)
    for name, only in (("first", a.keys() - b.keys()), ("second", b.keys() - a.keys())):
        if only:
            yield f"only in the {name}: {', '.join(sorted(key.op or f'{key.model} {key.candidate}' for key in only))}"
