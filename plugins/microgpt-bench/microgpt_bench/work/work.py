"""One kind of work, as the worker asks for it."""

from typing import Any, ClassVar

from microgpt_core.pipeline.runs.machine import resident_bytes


class Work:
    """Something that can be done again and again: a step, a token, a start."""

    pieces: ClassVar[int] = 1  # that a block of turns is timed in: the median counts, not one that was disturbed
    least_turns: ClassVar[int] = 1  # in a block, if that doesn't take too long
    cycle: int = 1  # turns after which it begins anew, where they aren't alike: a block is made of whole ones

    def run(self, n: int) -> dict[str, float] | None:
        """Do it `n` times. Returns the nanoseconds of its parts, if they were timed."""
        raise NotImplementedError

    def peak_rss(self) -> int:
        """The most bytes that it has held; 0 where that isn't known."""
        return resident_bytes(peak=True)

    def facts(self) -> dict[str, Any]:
        """`tokens`: with how many a turn is counted; and what else is said of it."""
        return {"tokens": 0}
