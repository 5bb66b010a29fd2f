"""How much memory a candidate will hold: known from its plans before it is started, of other programs by their like."""

from functools import cache

from microgpt_bench.candidate import READING, Candidate
from microgpt_bench.golden import GOLDEN, Golden
from microgpt_bench.work.choice import choice
from microgpt_core.components import Pass
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.capture import plan_of
from microgpt_core.engine.context import no_grad
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import ConfigurationError
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update

OWN, PEER = 60_000_000, 500_000_000  # bytes of a process before it has a model: PyTorch with its compiler has most
WEIGHT_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2}
TRAINING, ALL = ("step", "ops"), ("step", "ops", "generate")


def needed(bench: str, model: str, who: Candidate) -> int:
    """Bytes, about. Who can't run here needs none: its process says why."""
    if bench not in ALL:
        return 0
    if who.use == READING:
        return OWN + token_bytes(model, who.precision)
    try:
        golden, kernels = (GOLDEN[model], REFERENCE) if who.peer else choice(GOLDEN[model], who)
        weights = 4 * golden.shape().n_parameters
        held, workspace = (
            training_bytes(golden, kernels) if bench in TRAINING else (weights + kept(kernels, weights), 0)
        )
    except ConfigurationError:
        return 0
    return PEER + weights + held if who.peer else OWN + held + workspace  # a peer begins with a model of ours


def kept(kernels: Kernels, weights: int) -> int:
    """What a pass may hold of the weights as long as a session lives: a second copy at most."""
    return weights if any(type(each).session is not Pass.session for each in kernels.passes) else 0


def training_bytes(golden: Golden, kernels: Kernels) -> tuple[int, int]:
    """Weights, gradients, the optimizer's state and the values of the two plans; and what the kernels need beside them.

    Other precisions than float32 need less, but for sums and a second copy of the weights.
    """
    model = golden.shape()
    model.set_precision("float32")
    loss = BatchLoss(model, kernels=kernels, recompute=golden.recompute, accumulates=False)
    update = Update(model, golden.optimizer(), kernels=kernels, accumulates=False)
    rows, width = golden.rows, int(golden.fields["block_size"])
    shape = (1, rows * width) if golden.batching == "packed" else (rows, width)
    inputs = [Tensor(Value(shape, "i")) for _ in ("tokens", "targets", "positions")]
    inputs += [Tensor(Value((1,), "f")), *([Tensor(Value((3,), "i"))] if model.noisy else [])]
    plans = loss.training.plan_for(*inputs), update.plan.plan_for(*update.inputs())
    values, workspace = sum(plan.region_bytes for plan in plans), max(plan.workspace_bytes for plan in plans)
    weights, state = (p.value for p in model.parameters()), (t.value for t in update.state.values())
    return 2 * sum(v.nbytes for v in weights) + sum(v.nbytes for v in state) + values, workspace


def token_bytes(model: str, precision: str) -> int:
    """The bytes of weights that one more token needs."""
    return WEIGHT_BYTES[precision] * weights_read(model)


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
