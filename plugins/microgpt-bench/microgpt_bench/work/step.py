"""A training step of a golden model: forward, backward and AdamW."""

from pathlib import Path
from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.work.choice import choice
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
        golden, self.settings = GOLDEN[model], ""
        self.training: Training
        if who.peer:
            peer = find_peer(who.use)
            self.batches, self.settings = golden.batches(BATCHES), peer.settings(who.way, who.precision)
            given = golden.build(), self.batches, golden.optimizer()
            self.training = peer.training(*given, who.way, who.precision, who.threads)
        else:
            golden, kernels = choice(golden, who)
            self.batches = golden.batches(BATCHES)
            self.training = own_training(golden, kernels, who.precision, self.batches, longest)
        self.golden = golden
        if len({batch.shape for batch in self.batches}) > 1:  # each with a plan of its own, and a time
            self.cycle = BATCHES

    def run(self, n: int) -> None:
        self.training.run(n)

    def facts(self) -> dict[str, Any]:
        """The targets of a step, which rates count; and what a peer is told."""
        return {"tokens": sum(b.n_targets for b in self.batches) / len(self.batches), "settings": self.settings}

    def write_down(self, path: str) -> dict[str, Any]:
        """What it computes, for others to be compared with."""
        from microgpt_bench.work.agreement import write_down  # brings NumPy, whose memory isn't the candidate's

        self.begin_again()
        write_down(self.training, Path(path))
        return {}

    def disagreement(self, path: str) -> dict[str, Any]:
        """How far it is from what was written down."""
        from microgpt_bench.work.agreement import disagreement

        self.begin_again()
        return {"by": disagreement(self.training, Path(path))}

    def begin_again(self) -> None:
        """Have the first weights, which all share. A step has been made, and AdamW moves a weight whose gradient is
        nothing but rounding as far as any other: of large models these are many, and no two programs round alike.
        """
        self.training.load(self.golden.build())
