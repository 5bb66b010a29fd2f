"""Verdicts as rows and sentences, for the terminal and for Markdown."""

from math import isfinite

from microgpt_bench.results.compare import Verdict
from microgpt_bench.results.comparison import MEANS, Comparison
from microgpt_bench.roofline.scale import share

HEADERS = ("model", "candidate", "what", "of the step", "times as long", "between", "verdict")


def row(verdict: Verdict) -> tuple[str, ...]:
    high = f"{verdict.high:.3f}" if isfinite(verdict.high) else "?"
    between = f"{verdict.low:.3f}-{high}" if isfinite(verdict.high) else "anything"
    what, held = verdict.op or f"the whole {whole(verdict)}", share(verdict.share) if verdict.op else ""
    return verdict.model, who(verdict), what, held, f"{verdict.time_ratio:.3f}", between, verdict.verdict


def whole(verdict: Verdict) -> str:
    return {"generate": "token", "startup": "start"}.get(verdict.bench, "step")


def who(verdict: Verdict) -> str:
    threads = f", {verdict.threads} threads" if verdict.threads > 1 else ""
    precision = "" if verdict.precision == "float32" else f" {verdict.precision}"
    return f"{verdict.candidate}{precision}{threads}"


def summary(comparison: Comparison) -> str:
    """The outcome in a sentence or a few."""
    if not comparison.verdicts:
        return "nothing could be judged: no work that was measured in both takes long enough for the clock"
    slower = [sentence(verdict) for verdict in comparison.regressions]
    first = "\n".join(slower) or f"nothing was found to be slower by {comparison.percent:g} %"
    if not comparison.undecided:
        return first
    noise = f"the noise is larger than {comparison.percent:g} %; measure with more --processes"
    return f"{first}\n{comparison.undecided} of {len(comparison.verdicts)} can't be decided: {noise}"


def heading(comparison: Comparison) -> str:
    """The outcome in a few words: what is too noisy to say has not passed."""
    n, noisy = len(comparison.verdicts), comparison.undecided
    outcome = "Slower" if comparison.regressions else "No regression" if noisy < n else "Nothing decided"
    return f"{outcome} ({noisy} of {n} too noisy)" if noisy else outcome


def sentence(verdict: Verdict) -> str:
    what = f"{verdict.op} of {verdict.model}" if verdict.op else f"{verdict.bench} of {verdict.model}"
    held = f", which holds {share(verdict.share)} of the step," if verdict.op else ""
    between = f"{verdict.low:.2f} to {verdict.high:.2f}"
    return f"slower: {what} on {who(verdict)}{held} takes {verdict.time_ratio:.2f} times as long ({between})"


def remarks(comparison: Comparison) -> list[str]:
    """How it was compared, and what to keep in mind."""
    changed = [f"{name} was {told(old)}, is {told(new)}" for name, (old, new) in comparison.differences.items()]
    return [MEANS[comparison.means], *changed, *(f"warning: {text}" for text in comparison.warnings)]


def told(fact: object) -> str:
    return " ".join(map(str, fact)) if isinstance(fact, list) else "nothing" if fact in (None, "") else str(fact)
