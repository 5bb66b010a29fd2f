"""Generating: one token after the other, the likeliest each time; anew from the first where the block is full."""

from typing import Any

from microgpt_bench.candidate import READING, Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.work.choice import choice
from microgpt_bench.work.memory import token_bytes
from microgpt_bench.work.peers import find_peer
from microgpt_bench.work.work import Work
from microgpt_core import ops
from microgpt_core.components.peer import Generation
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.tensor import tensor
from microgpt_core.inference.session import Session
from microgpt_core.models.model import Model

FIRST = 0  # the token that every text begins with
ANY = tensor([0], "int32")  # chance: the likeliest is chosen by each


class Generate(Work):
    """What the worker runs: a turn is a token."""

    pieces = 32

    def __init__(self, who: Candidate, model: str) -> None:
        golden = GOLDEN[model]
        self.generation: Generation
        self.tokens = 1.0
        if who.use == READING:
            from microgpt_bench.work.reading import Reading  # with NumPy, which the others' processes needn't hold

            self.generation = reading = Reading(token_bytes(model, who.precision), who.threads)
            self.tokens = reading.tokens
        elif who.peer:
            self.generation = find_peer(who.use).generation(golden.build(), who.way, who.precision, who.threads)
        else:
            golden, kernels = choice(golden, who)
            self.generation = OwnGeneration(golden.build(who.precision), kernels)

    def run(self, n: int) -> None:
        self.generation.run(n)

    def facts(self) -> dict[str, Any]:
        return {"tokens": self.tokens}

    def write(self, n: int) -> dict[str, Any]:
        """The next `n` tokens, to see whether others write the same."""
        return {"tokens": list(self.generation.run(n))}


class OwnGeneration:
    """A session that is asked for the likeliest token again and again."""

    def __init__(self, model: Model, kernels: Kernels) -> None:
        self.session, self.last = Session(model, kernels), FIRST
        self.choose = Captured(lambda chance: ops.sample(self.session.logits, chance, temperature=0.0), kernels)

    def run(self, n: int) -> list[int]:
        written = []
        for _ in range(n):
            if not self.session.room():
                self.session.reset()
                self.last = FIRST
            self.session.advance([[self.last]])
            self.last = self.choose(ANY)[0].tolist()[0]
            written.append(self.last)
        return written
