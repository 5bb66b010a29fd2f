"""What looking at the clock costs where every call of a step is timed: asked of each candidate before the race."""

from microgpt_bench.measuring.agree import Check, Differences
from microgpt_bench.measuring.race import Lane
from microgpt_bench.measuring.racer import CannotRunError

SECONDS = 0.5


def ask_clock_cost(differences: Differences) -> Check:
    """A check for `race` that refuses nobody: of ops there is nothing that could differ."""

    def check(lane: Lane) -> None:
        for timed, racer, _ in lane:
            try:
                timed.clock_cost = float(racer.tell(do="ask", what="clock_cost", seconds=SECONDS)["cost"])
            except CannotRunError as error:
                timed.left_out = str(error)

    return check
