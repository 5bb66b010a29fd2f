"""The least time that a golden model's work could take here: what `bench step` and `bench generate` show a share of."""

from functools import cache

from microgpt_bench.candidate import Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.measuring.race import Say
from microgpt_bench.roofline.kept import roof_of_machine
from microgpt_bench.roofline.points import least_seconds
from microgpt_bench.roofline.subject import find_subject
from microgpt_core.engine.capture import plan_of
from microgpt_core.engine.context import no_grad
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value

MEASURED = "float32"  # of the precisions that a step can have: the one whose peak NumPy can measure
WEIGHT_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2}


def least_step(model: str, who: Candidate, say: Say) -> float | None:
    """Seconds; None for other work than the model's own, and in a precision whose peak isn't known.

    The machine is measured the first time, for some seconds.
    """
    return None if who.other_work or who.precision != MEASURED else least(model, who.threads, say)


@cache
def least(model: str, threads: int, say: Say) -> float:
    """The same for all backends: what is least is the machine's."""
    return least_seconds(find_subject(model, "reference").plans(), roof_of_machine(threads, say=say))


def least_token(model: str, who: Candidate, say: Say) -> float | None:
    """Seconds to read the weights that one more token needs, as fast as so many threads were seen to read; None for
    other work than the model's own. Keys and values of what was written, which are read as well, aren't counted.
    """
    if who.other_work:
        return None
    nbytes = WEIGHT_BYTES[who.precision] * weights_read(model)
    return nbytes / roof_of_machine(who.threads, say=say).level(nbytes).read


@cache
def weights_read(model: str) -> int:
    """How many numbers of the weights a token needs: all of most, and of a table its row."""
    made = GOLDEN[model].shape()
    made.set_precision("float32")

    def forward(tokens: Tensor, positions: Tensor) -> Tensor:
        with no_grad():
            return made(tokens, positions)

    plan, read = plan_of(forward, *(Tensor(Value((1, 1), "i")) for _ in range(2))), dict[int, int]()
    for call in plan.calls:
        for i in call.arguments.values():
            if i is not None and plan.values[i].role == "persistent":
                whole, made_of_it = plan.values[i].nbytes, sum(plan.values[j].nbytes for j in call.written)
                read[i] = max(read.get(i, 0), whole if whole <= call.bytes else made_of_it)
    return sum(read.values()) // WEIGHT_BYTES["float32"]
