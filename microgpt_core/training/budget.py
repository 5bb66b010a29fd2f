"""How long a run may go on: until `max_steps` are made or `minutes` are over, whichever comes first."""

import time
from math import inf


class Budget:
    """Steps and time; the clock starts when it is made, at `elapsed` seconds. One of the two has a limit."""

    def __init__(self, max_steps: int | None, minutes: float | None, elapsed: float = 0.0) -> None:
        self.max_steps = inf if max_steps is None else max_steps
        self.max_seconds = inf if minutes is None else 60.0 * minutes
        self._began = time.monotonic() - elapsed

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began

    def steps(self, made: int) -> int:
        """How many steps there will be, if those to come take as long as those made. More than were made."""
        seconds = self.seconds
        by_time = made * self.max_seconds / seconds if made and seconds else inf
        expected = min(self.max_steps, by_time)
        return made + 1 if expected == inf else max(made + 1, int(expected))

    def seconds_left(self, made: int) -> float:
        """How long the rest will take, judged after at least one step."""
        return max(0.0, min((self.max_steps - made) * self.seconds / made, self.max_seconds - self.seconds))

    def spent(self, made: int) -> str | None:
        """What there is no more of, `max_steps` or `minutes`; None while there is."""
        if made >= self.max_steps:
            return "max_steps"
        return "minutes" if self.seconds >= self.max_seconds else None
