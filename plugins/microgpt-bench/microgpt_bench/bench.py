"""A benchmark from its question to its report: which candidates, raced how, what it says of them."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, product
from statistics import median

from microgpt_bench.candidate import Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.measuring.agree import ALLOWED, Found, same_text, same_training
from microgpt_bench.measuring.pin import cores
from microgpt_bench.measuring.race import Effort, Lane, Say, Timed, race, unchecked
from microgpt_bench.measuring.statistics import ratio, undecided
from microgpt_bench.results.machine import machine_facts
from microgpt_bench.results.result import Ratio, Report, part_results, result
from microgpt_bench.work.peers import ways_of
from microgpt_bench.work.startup import COMMANDS
from microgpt_bench.work.step import LONGEST
from microgpt_core.errors import ConfigurationError, UnknownNameError

CHECKS: dict[str, Callable[[Found], Callable[[Lane], None]]] = {"step": same_training, "generate": same_text}
Roof = Callable[[str, Candidate], float | None]  # the least seconds of a golden model's step


@dataclass(frozen=True)
class Question:
    """What is to be measured. `models` are golden models, or what is started."""

    bench: str  # "step", "ops", "generate" or "startup"
    models: Sequence[str]
    backends: Sequence[str]
    precisions: Sequence[str] = ("float32",)
    threads: int = 1
    peers: Sequence[str] = ()
    environments: Sequence[tuple[str, str]] = ()  # other Python environments: what to call it, its interpreter
    longest: float = LONGEST  # seconds that a step of microgpt may take

    def check(self) -> None:
        """Raises UnknownNameError for a model that there isn't, ConfigurationError for what can't be measured here."""
        known = COMMANDS if self.bench == "startup" else GOLDEN
        for model in self.models:
            if model not in known:
                raise UnknownNameError("model to measure", model, known)
        for precision in self.precisions:
            if precision not in ALLOWED:
                raise UnknownNameError("precision", precision, ALLOWED)
        if self.threads > cores():
            raise ConfigurationError(f"threads: found {self.threads}, allowed: at most {cores()}, the cores here")

    def candidates(self, model: str) -> list[Candidate]:
        """Everybody who is to do the work of a model, microgpt first. Raises for a peer that isn't here."""
        if self.bench == "startup":
            return [
                Candidate(use, peer=use != "microgpt")
                for use in COMMANDS[model]
                if use in (*self.backends, *self.peers)
            ]
        places = [*self.environments, ("", sys.executable)]
        own = [
            Candidate(backend, precision, self.threads, environment=name, python=python)
            for (name, python), backend, precision in product(places, self.backends, self.precisions)
        ]
        others = [ways_of(peer, precision, self.threads) for peer, precision in product(self.peers, self.precisions)]
        return [*own, *chain.from_iterable(others)]


def no_roof_known(model: str, who: Candidate) -> None:
    """Where no share of the machine's peak is asked for."""


def bench(question: Question, effort: Effort, say: Say = lambda text: None, roof: Roof = no_roof_known) -> Report:
    """Measure, model by model."""
    question.check()
    report = Report(machine_facts(), [])
    for model in question.models:
        measure(question, model, effort, partial(prefixed, say, model), roof, report)
    return report


def prefixed(say: Say, model: str, text: str) -> None:
    say(f"{model}: {text}")


def measure(question: Question, model: str, effort: Effort, say: Say, roof: Roof, report: Report) -> None:
    """One model's results, into the report."""
    kind, found = question.bench, Found()
    check = CHECKS[kind](found) if kind in CHECKS else unchecked
    settings = {"model": model, **({"longest": question.longest} if kind in ("step", "ops") else {})}
    timed = race(kind, question.candidates(model), settings, effort, say, check)
    report.skipped.update({f"{model}: {one.candidate.label}": one.cannot for one in timed if one.cannot})
    report.agreement.update({f"{model}: {who}": differs for who, differs in found.items()})
    done = [one for one in timed if not one.cannot]
    for one in done:
        report.results.append(result(kind, model, one, roof(model, one.candidate)))
        report.results.extend(part_results(kind, model, one))
    report.ratios.extend(ratios(kind, model, done))
    others = {one.candidate.environment: one.facts["versions"] for one in done if one.candidate.environment}
    if others:
        report.machine.setdefault("environments", {}).update(others)


def ratios(bench: str, model: str, done: Sequence[Timed]) -> Iterable[Ratio]:
    """Each candidate of microgpt against the fastest way of each peer, in its own precision and of all; where there is
    no peer, against the first candidate.
    """
    own = [one for one in done if not one.candidate.peer]
    peers = dict.fromkeys(one.candidate.use for one in done if one.candidate.peer)
    for one in own:
        for peer in peers:
            ways = [other for other in done if other.candidate.peer and other.candidate.use == peer]
            same = [way for way in ways if way.candidate.precision == one.candidate.precision]
            for other in {id(best): best for best in (fastest(same), fastest(ways)) if best}.values():
                yield against(bench, model, one, other)
        if not peers and one is not own[0]:
            yield against(bench, model, one, own[0])


def fastest(ways: Sequence[Timed]) -> Timed | None:
    return min(ways, key=lambda way: median(ns for rounds in way.rounds for ns in rounds), default=None)


def against(bench: str, model: str, one: Timed, other: Timed) -> Ratio:
    found, a, b = ratio(one.rounds, other.rounds), one.candidate, other.candidate
    name = b.use if b.peer else b.name
    noise = found.median, found.p10, found.p90, undecided(found)
    return Ratio(bench, model, a.name, a.precision, name, b.way, b.precision, *noise)
