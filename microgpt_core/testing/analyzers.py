"""What every analyzer promises: it looks at what a training computes, and changes no bit of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from microgpt_core.components import Analyzer, Buffer
from microgpt_core.models.gpt import GPT
from microgpt_core.testing.case import bits
from microgpt_core.testing.report import Check, checks, place
from microgpt_core.text.batches import Batches, encode_documents
from microgpt_core.text.char import Char
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.schedules import Linear
from microgpt_core.training.settings import TrainSettings
from microgpt_core.training.trainer import Trainer

STEPS = 4
WORDS = ["emma", "olivia", "ava", "isabella", "sophia", "mia", "charlotte", "amelia"]


class Watched(Analyzer):
    """An analyzer of whose calls it is known what they were given, and how they ended; one that fails ends them."""

    def __init__(self, analyzer: Analyzer) -> None:
        self.analyzer, self.watch = deepcopy(analyzer), analyzer.watch  # type: ignore[misc]
        self.seen: set[str] = set()
        self.problems: list[str] = []

    def observe(self, step: int, values: Mapping[str, Buffer]) -> None:
        if self.problems:
            return
        self.seen |= set(values)
        try:
            self.analyzer.observe(step, values)
        except Exception as error:  # noqa: BLE001 - whatever an author's analyzer raises
            self.problems.append(f"observe fails at step {step}: {type(error).__name__}: {error} {place(error)}")

    def report_is_spoilt(self) -> bool:
        """Whether there is NaN in the report, or none at all."""
        try:
            return "NaN" in json.dumps(self.analyzer.report())
        except Exception:  # noqa: BLE001 - whatever an author's analyzer makes of NaN; `reports` tells what else there is
            return True


class Lent(Watched):
    """The same, given copies that become NaN after each call, as a plan's memory becomes another step's."""

    def observe(self, step: int, values: Mapping[str, Buffer]) -> None:
        copies = {scope: bytearray(x) for scope, x in values.items()}
        given = {s: Buffer(Buffer(copies[s]).cast(x.format, x.shape).toreadonly()) for s, x in values.items()}
        super().observe(step, given)
        for copy in copies.values():
            copy[:] = b"\xff" * len(copy)  # NaN in float32 and in float64


@dataclass
class Training:
    """A short training of a small GPT, looked at by an analyzer or by nobody."""

    watched: Watched | None
    losses: list[float] = field(default_factory=list)
    state: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng, tokenizer = Random(1), Char().train(WORDS)
        model = GPT(tokenizer.vocab_size, block_size=8, n_layer=2, n_head=2, n_embd=8)
        model.allocate()
        model.initialise(rng)
        documents = encode_documents(tokenizer, WORDS)
        batches = Batches(documents, batch_size=2, block_size=8, seed=1, rng=rng, bos=tokenizer.bos)
        trainer = Trainer(
            model,
            tokenizer,
            batches,
            AdamW(),
            Linear(),
            TrainSettings(max_steps=STEPS, batch_size=2),
            on_step=lambda step: self.losses.append(step.train_loss),
            analyzers={"analyzer": self.watched} if self.watched else {},
        )
        trainer.train()
        self.state = {name: bits(b) for name, b in (model.state() | trainer.update.buffers()).items()}


@dataclass(frozen=True)
class Trial:
    """A training with an analyzer, the same one without, and one in which the analyzer sees copies that don't last."""

    watched: Watched
    looked_at: Training
    alone: Training
    lent: Lent


def analyzer_checks(analyzer: Analyzer, component: str = "") -> list[Check]:
    """The checks of an analyzer, on a GPT of two blocks; what it watches must be there."""

    def make() -> Trial:
        watch: object = analyzer.watch
        if isinstance(watch, str):
            raise TypeError(f"watch is the text {watch!r}; expected a tuple: watch = ({watch!r},)")
        watched, lent = Watched(analyzer), Lent(analyzer)
        alone = Training(None)
        Training(lent)
        return Trial(watched, Training(watched), alone, lent)

    return checks(component or f"analyzer {analyzer.name}", RULES, make)


def observes(trial: Trial) -> Iterator[str]:
    """It gets what it watches, and doesn't fail."""
    if not trial.watched.seen:
        yield f"it sees nothing: no scope of a GPT matches watch = {trial.watched.watch}"
    yield from trial.watched.problems


def changes_no_bit(trial: Trial) -> Iterator[str]:
    """Losses, weights and the optimizer's state are the same as without it."""
    for step, (with_it, without) in enumerate(zip(trial.looked_at.losses, trial.alone.losses), 1):
        if with_it != without:
            yield f"training changes: the loss of step {step} is {with_it!r} with it, {without!r} without"
            return
    if changed := [n for n, b in trial.alone.state.items() if trial.looked_at.state[n] != b]:
        yield f"training changes: {changed[0]} and {len(changed) - 1} others aren't what they are without it"


def keeps_no_buffer(trial: Trial) -> Iterator[str]:
    """What it reports comes of numbers that it took in `observe`, not of buffers: those are the next step's then."""
    if trial.lent.report_is_spoilt() and not trial.watched.report_is_spoilt():
        yield (
            "it keeps a buffer after observe has returned, and the next step writes other numbers there; "
            "keep what you computed, or a copy: x.tolist()"
        )


def reports(trial: Trial) -> Iterator[str]:
    """What it reports is a mapping of titles that JSON can hold."""
    report: Any = trial.watched.analyzer.report()
    if not isinstance(report, Mapping) or not all(isinstance(title, str) for title in report):
        yield f"report() returns {report!r:.60}; expected a mapping of titles to tables"
    json.dumps(report)


RULES = (observes, changes_no_bit, keeps_no_buffer, reports)
