"""A training step of a golden model: forward, backward and AdamW."""

from pathlib import Path
from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.work.peers import find_peer
from microgpt_bench.work.training import own_training
from microgpt_bench.work.work import Work
from microgpt_core.components.peer import Training

LONGEST = 10.0  # seconds that a step of microgpt may take, unless somebody says otherwise
BATCHES = 8  # prepared, and gone through again and again


class Step(Work):
    """What the worker runs: a candidate's training of a golden model."""

    pieces = 32

    def __init__(self, who: Candidate, model: str, longest: float = LONGEST) -> None:
        self.golden, self.longest = GOLDEN[model], longest
        self.settings = find_peer(who.use).settings(who.way, who.precision) if who.peer else ""
        self.batches = self.golden.batches(BATCHES)
        self.training: Training = self.peer(who) if who.peer else self.own(who)

    def own(self, who: Candidate) -> Training:
        return own_training(self.golden, who, self.batches, self.longest)

    def peer(self, who: Candidate) -> Training:
        golden = self.golden
        return find_peer(who.use).training(
            golden.build(), self.batches, golden.optimizer(), who.way, who.precision, who.threads
        )

    def run(self, n: int) -> None:
        self.training.run(n)

    def facts(self) -> dict[str, Any]:
        """The targets of a step, which rates count; and what a peer is told."""
        return {"tokens": sum(b.n_targets for b in self.batches) / len(self.batches), "settings": self.settings}

    def write_down(self, path: str) -> dict[str, Any]:
        """What it computes, for others to be compared with."""
        from microgpt_bench.work.agreement import write_down  # brings NumPy, whose memory isn't the candidate's

        write_down(self.training, Path(path))
        return {}

    def disagreement(self, path: str) -> dict[str, Any]:
        """How far it is from what was written down."""
        from microgpt_bench.work.agreement import disagreement

        return {"by": disagreement(self.training, Path(path))}
