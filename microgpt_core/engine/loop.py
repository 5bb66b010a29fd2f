"""A loop: replays that take turns, again and again, on inputs that are all at hand before it begins.

    loop = Loop([forward_and_backward, update], 100)
    loop.feeds[0][0]                   # (100, *shape), to be filled: the first replay's first input in each turn
    made = loop.run(100)               # or loop.run(50, 30): of these the turns from 30 to 79
    losses = loop.results[0][0]        # (100, 1)

What one replay after the other would do, with the same bits. A native backend makes all turns in one go.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from math import isfinite

from microgpt_core.components import flat
from microgpt_core.engine.replay import Replay
from microgpt_core.errors import require


class Loop:
    """Turns of several replays. `feeds[r][i]` is to be filled with input i of replay r, `results[r][i]` gets output i.

    Where `until` names a replay and one of its outputs, the loop ends when that isn't finite.
    """

    def __init__(self, replays: Sequence[Replay], most: int, until: tuple[int, int] | None = None) -> None:
        self.replays, self.most, self.parts = replays, most, [replay.part(most) for replay in replays]
        self.feeds = [[feed for _, feed in part.reads] for part in self.parts]
        self.results = [[result for _, result in part.writes] for part in self.parts]
        if until:
            self.parts[until[0]].until = self.results[until[0]][until[1]]
        backends = {line.choice.backend for replay in replays for line in replay.planned[2]}
        self._native = backends.pop().loop(self.parts) if len(backends) == 1 else None

    def run(self, turns: int, first: int = 0) -> int:
        """Make so many turns, from `first` on; how many were made whole, the one that isn't finite left out."""
        require(0 <= first <= first + turns <= self.most, "turns", f"{turns} from {first} on", f"up to {self.most}")
        with ExitStack() as stack:
            for replay in {id(r.region): r for r in self.replays}.values():
                replay.enter()
                stack.callback(replay.region.busy.release)
            for replay in self.replays:
                replay.claim()
            return (self._native or self._one_by_one)(turns, first)

    def _one_by_one(self, turns: int, first: int) -> int:
        for turn in range(first, first + turns):
            for part in self.parts:
                for target, feed in part.reads:
                    target.cast("B")[:] = feed.cast("B")[turn * target.nbytes : (turn + 1) * target.nbytes]
                for run in part.runs:
                    run()
                for source, result in part.writes:
                    result.cast("B")[turn * source.nbytes : (turn + 1) * source.nbytes] = source.cast("B")
                if part.until is not None and not isfinite(flat(part.until)[turn]):
                    return turn - first
        return turns
