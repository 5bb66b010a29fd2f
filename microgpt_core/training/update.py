"""The update plan: global norm, clip factor, one update per parameter, gradients back to zero where they add up."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from math import inf

from microgpt_core import ops
from microgpt_core.components import Buffer, Op, Optimizer, Shape
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.region import allocate_together
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.models.model import Model
from microgpt_core.saving.model_folder import lent


class Update:
    """Moves a model's parameters by their gradients; it owns the optimizer's state.

    `update_ops` are the ops that the optimizer may name, where they aren't the core's. Gradients are zero afterwards,
    for others to be added; where nothing `accumulates`, as the loss has to know too, they stay as they are. Calling it
    returns the norm of all gradients; where that isn't finite, nothing has moved.
    """

    def __init__(
        self, model: Model, optimizer: Optimizer, grad_clip: float | None = None, kernels: Kernels = REFERENCE,
        update_ops: Mapping[str, Op] = ops.OPS, accumulates: bool = True,
    ) -> None:  # fmt: skip
        self.model, self.optimizer, self.max_norm, self.ops = model, optimizer, grad_clip or inf, update_ops
        self.trained, self.accumulates = [p for p in model.ordered_parameters() if p.requires_grad], accumulates
        optimizer.check({p.name: p.shape for p in self.trained})
        turns = [(i, p, r) for p in self.trained for i, r in enumerate(optimizer.rules(p.name, p.shape, p.decay))]
        # everybody's first rule, then everybody's second: a backend may do those of one kind together
        self.rules = [(p, rule) for _, p, rule in sorted(turns, key=lambda turn: turn[0])]
        if unknown := {rule.update for _, rule in self.rules} - update_ops.keys():
            raise UnknownNameError("update op", min(unknown), update_ops, "Give a pack's in `update_ops`")
        self.state: dict[str, Tensor] = {}  # "<parameter>.m" -> buffer
        for name in dict.fromkeys(name for _, rule in self.rules for name in rule.state):
            for p, rule in self.rules:  # all of one kind side by side, as the parameters are
                if name in rule.state:
                    shape, title = state_shape(name, rule.state[name], p.shape), f"{p.name}.{name}"
                    self.state[title] = Tensor(Value(shape, p.value.format, name=title, persistent=True))
        self.plan = Captured(self.step, kernels)

    def allocate(self) -> None:
        """Give the state its region, zeros at first."""
        allocate_together(t.value for t in self.state.values())

    def buffers(self) -> dict[str, Buffer]:
        """The state's buffers by name, for a checkpoint."""
        return {name: t.data for name, t in self.state.items()}

    def average(self) -> dict[str, Buffer]:
        """What the optimizer keeps as the average of each trained parameter; empty where it keeps none."""
        kept = self.optimizer.average
        return {p.name: self.state[f"{p.name}.{kept}"].data for p in self.trained if kept}

    def averaged(self) -> AbstractContextManager[None]:
        """For a block, the model with the average in its weights' place, where there is one."""
        return lent(self.average(), self.model.state())

    def inputs(self, lr: float = 0.0, step: int = 0) -> tuple[Tensor, Tensor]:
        """Learning rate and step (from 0) as the buffers that the plan reads."""
        return tensor([lr], self.model.precision), tensor([float(step)], self.model.precision)

    def step(self, lr: Tensor, step: Tensor) -> Tensor:
        """One step, as the plan captures it."""
        norm = ops.global_norm(self.model.gradients)
        factor = ops.clip_factor(norm, max_norm=self.max_norm)
        shares = sorted({rule.lr_factor for _, rule in self.rules})
        rates = {share: lr if share == 1.0 else ops.scale(lr, factor=share) for share in shares}
        for p, rule in self.rules:
            state = [self.state[f"{p.name}.{name}"] for name in rule.state]
            self.ops[rule.update](p, p.grad, factor, rates[rule.lr_factor], step, *state, **rule.attributes)
        if self.accumulates:
            ops.zero(self.model.gradients)
        return norm  # type: ignore[no-any-return]

    def __call__(self, lr: float, step: int) -> float:
        return self.plan(*self.inputs(lr, step)).item()  # type: ignore[no-any-return]


def state_shape(name: str, like: str, w: Shape) -> Shape:
    """The shape of a parameter's state. A vector is a matrix of one row."""
    shapes = {"like w": w, "rows of w": w[:-1] or (1,), "columns of w": w[-1:], "one number": (1,)}
    if like not in shapes:
        raise ConfigurationError(f"optimizer state {name}: {like!r} is unknown; allowed: {', '.join(shapes)}")
    return shapes[like]
