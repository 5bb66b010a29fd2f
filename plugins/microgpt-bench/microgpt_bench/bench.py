"""A benchmark from its question to its report: which candidates, raced how, what it says of them."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, product
from statistics import median
from typing import Any

from microgpt_bench.candidate import READING, Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.measuring.agree import ALLOWED, Differences, same_text, same_training
from microgpt_bench.measuring.clock_cost import ask_clock_cost
from microgpt_bench.measuring.groups import no_room, race_in_groups
from microgpt_bench.measuring.pin import pinned
from microgpt_bench.measuring.race import Effort, Lane, Say, Timed, race, unchecked
from microgpt_bench.measuring.same_tokens import same_tokens
from microgpt_bench.measuring.statistics import ratio, undecided
from microgpt_bench.results.machine import machine_facts
from microgpt_bench.results.result import Ratio, Report, part_results, result
from microgpt_bench.work import checkpoint, tokenize
from microgpt_bench.work.choice import choice
from microgpt_bench.work.memory import needed
from microgpt_bench.work.peers import by_threads, tokenizer_of, ways_of
from microgpt_bench.work.startup import COMMANDS
from microgpt_bench.work.step import LONGEST
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.pipeline.runs.cpu import cores
from microgpt_core.pipeline.runs.machine import available_memory, in_units

CHECKS: dict[str, Callable[[Differences], Callable[[Lane], None]]] = {
    "step": same_training,
    "ops": ask_clock_cost,
    "generate": same_text,
    "tokenize": same_tokens,
}
# What can be measured besides golden models, by what this kind of work is told.
KNOWN: dict[str, Callable[[Mapping[str, Any]], Collection[str]]] = {
    "startup": lambda more: COMMANDS.keys(),
    "tokenize": tokenize.tasks,
    "checkpoint": lambda more: checkpoint.tasks(),
}
Roof = Callable[[str, Candidate], float | None]  # the least seconds of a golden model's step


@dataclass(frozen=True)
class Question:
    """What is to be measured. `models` are golden models, what is started, or what a tokenizer or a checkpoint does."""

    bench: str  # "step", "ops", "generate", "startup", "tokenize" or "checkpoint"
    models: Sequence[str]
    backends: Sequence[str]
    precisions: Sequence[str] = ("float32",)
    threads: int = 1
    peers: Sequence[str] = ()
    environments: Sequence[tuple[str, str]] = ()  # other Python environments: what to call it, its interpreter
    longest: float = LONGEST  # seconds that a step of microgpt may take
    choices: Sequence[tuple[str, ...]] = ((),)  # overrides of the golden models, to be raced beside each other
    more: Mapping[str, Any] = field(default_factory=dict)  # what this kind of work is told besides the model
    reading: bool = False  # whether tokens are put beside the reading of their bytes

    def check(self) -> None:
        """Raises UnknownNameError for a model that there isn't, ConfigurationError for what can't be measured here."""
        known = KNOWN[self.bench](self.more) if self.bench in KNOWN else GOLDEN.keys()
        for model in self.models:
            if model not in known:
                raise UnknownNameError("model to measure", model, known)
        for precision in self.precisions:
            if precision not in ALLOWED:
                raise UnknownNameError("precision", precision, ALLOWED)
        if self.threads > cores():
            raise ConfigurationError(f"threads: found {self.threads}, allowed: at most {cores()}, the cores here")
        if any(self.choices) and self.peers:
            raise ConfigurationError("--vary puts choices of microgpt beside each other; leave --against out")
        for model, backend, overrides in product(self.models, self.backends, self.choices):
            if overrides:
                choice(GOLDEN[model], Candidate(backend, overrides=overrides))

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
            Candidate(backend, precision, self.threads, environment=name, python=python, overrides=overrides)
            for (name, python), backend, precision, overrides in product(
                places, self.backends, self.precisions, self.choices
            )
        ]
        if self.bench == "tokenize":
            own = [replace(one, way=by_threads(self.threads)) for one in own]
            return [*own, *chain.from_iterable(tokenizer_of(peer, self.threads) for peer in self.peers)]
        others = [ways_of(peer, precision, self.threads) for peer, precision in product(self.peers, self.precisions)]
        return [*own, *chain.from_iterable(others)]

    def readings(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Who reads what a token needs, in each precision, if that is to be beside anybody."""
        if not self.reading or all(one.other_work for one in candidates):
            return []
        return [Candidate(READING, precision, self.threads, peer=True) for precision in self.precisions]


def no_roof_known(model: str, who: Candidate) -> None:
    """Where no share of the machine's peak is asked for."""


def bench(question: Question, effort: Effort, say: Say = lambda text: None, roof: Roof = no_roof_known) -> Report:
    """Measure, model by model."""
    question.check()
    report = Report(machine_facts(), [])
    if effort.pinned and (where := pinned(question.threads)):
        report.remarks.append(where)
    for model in question.models:
        measure(question, model, effort, partial(prefixed, say, model), roof, report)
    return report


def prefixed(say: Say, model: str, text: str) -> None:
    say(f"{model}: {text}")


def measure(question: Question, model: str, effort: Effort, say: Say, roof: Roof, report: Report) -> None:
    """One model's results, into the report."""
    kind, differences = question.bench, Differences()
    check = CHECKS[kind](differences) if kind in CHECKS else unchecked
    settings = {"model": model, **question.more, **({"longest": question.longest} if kind in ("step", "ops") else {})}
    candidates, free = question.candidates(model), available_memory()
    candidates += readings_with_room(question, model, candidates[0], question.readings(candidates), free, report)
    needs = [needed(kind, model, who) for who in candidates]
    timed, groups = race_in_groups(
        lambda group: race(kind, group, settings, effort, say, check), candidates, needs, free
    )
    if free is not None and len(groups) > 1:
        report.remarks.append(
            f"{model}: all at once would need {in_units(sum(needs))} and {in_units(free)} of memory are free, so "
            f"{' | '.join(', '.join(group) for group in groups)} raced apart; ratios go by {groups[1][0]}"
        )
    report.skipped.update({f"{model}: {one.candidate.label}": one.left_out for one in timed if one.left_out})
    report.agreement.update({f"{model}: {who}": differs for who, differs in differences.items()})
    timed = [one for one in timed if not one.left_out]
    done, read = [one for one in timed if one.candidate.use != READING], read_seconds(timed)
    for one in done:
        beside = None if one.candidate.other_work else read.get(one.candidate.precision)
        report.results.append(result(kind, model, one, roof(model, one.candidate) if beside is None else beside))
        report.results.extend(part_results(kind, model, one))
    report.ratios.extend(ratios(kind, model, done))
    others = {one.candidate.environment: one.facts["versions"] for one in done if one.candidate.environment}
    if others:
        report.machine.setdefault("environments", {}).update(others)


def readings_with_room(
    question: Question, model: str, first: Candidate, readings: Sequence[Candidate], free: int | None, report: Report
) -> list[Candidate]:
    """Those that memory has room for beside the first candidate; of the others the report says why."""
    need = {who: needed(question.bench, model, who) for who in (first, *readings)}
    reasons = {who: no_room(first, who, need, free) for who in readings}
    report.remarks.extend(f"{model}: no share of the bandwidth, since {why}" for why in reasons.values() if why)
    return [who for who, why in reasons.items() if not why]


def read_seconds(timed: Sequence[Timed]) -> dict[str, float]:
    """What reading the bytes of a token took, by precision."""
    readings = [one for one in timed if one.candidate.use == READING]
    return {
        one.candidate.precision: median(chain.from_iterable(one.rounds)) / one.facts["tokens"] / 1e9 for one in readings
    }


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
    found, a, b = ratio(by_token(one), by_token(other)), one.candidate, other.candidate
    name = b.use if b.peer else b.name
    noise = found.median, found.p10, found.p90, undecided(found)
    memory = one.peak_rss / other.peak_rss if b.peer and one.peak_rss and other.peak_rss else None
    return Ratio(bench, model, a.name, a.precision, name, b.way, b.precision, *noise, memory)


def by_token(timed: Timed) -> list[list[float]]:
    """The nanoseconds of a turn, or of each target of it: batches made otherwise have other numbers of them."""
    tokens = timed.facts["tokens"] or 1
    return [[ns / tokens for ns in process] for process in timed.rounds]
