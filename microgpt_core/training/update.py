"""The update plan: global norm, clip factor, one update per parameter, gradients back to zero."""

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


class Update:
    """Moves a model's parameters by their gradients; it owns the optimizer's state.

    `op` is the update op where it isn't one of the core's. Calling it returns the norm of all gradients;
    where that isn't finite, nothing has moved.
    """

    def __init__(
        self, model: Model, optimizer: Optimizer, grad_clip: float | None = None, kernels: Kernels = REFERENCE,
        op: Op | None = None,
    ) -> None:  # fmt: skip
        self.model, self.optimizer, self.max_norm = model, optimizer, grad_clip or inf
        if op is None and optimizer.update not in ops.OPS:
            raise UnknownNameError("update op", optimizer.update, ops.OPS, "Give a pack's as `update_op`")
        self.op = op or ops.OPS[optimizer.update]
        self.trained = [p for p in model.ordered_parameters() if p.requires_grad]
        self.state: dict[str, Tensor] = {}  # "<parameter>.m" -> buffer
        for name, like in optimizer.state.items():  # all of one kind side by side, as the parameters are
            for p in self.trained:
                shape, title = state_shape(name, like, p.shape), f"{p.name}.{name}"
                self.state[title] = Tensor(Value(shape, p.value.format, name=title, persistent=True))
        self.plan = Captured(self.step, kernels)

    def allocate(self) -> None:
        """Give the state its region, zeros at first."""
        allocate_together(t.value for t in self.state.values())

    def buffers(self) -> dict[str, Buffer]:
        """The state's buffers by name, for a checkpoint."""
        return {name: t.data for name, t in self.state.items()}

    def inputs(self, lr: float = 0.0, step: int = 0) -> tuple[Tensor, Tensor]:
        """Learning rate and step (from 0) as the buffers that the plan reads."""
        return tensor([lr], self.model.precision), tensor([float(step)], self.model.precision)

    def step(self, lr: Tensor, step: Tensor) -> Tensor:
        """One step, as the plan captures it."""
        norm = ops.global_norm(self.model.gradients)
        factor = ops.clip_factor(norm, max_norm=self.max_norm)
        for p in self.trained:
            state = [self.state[f"{p.name}.{name}"] for name in self.optimizer.state]
            self.op(p, p.grad, factor, lr, step, *state, **self.optimizer.attributes(p.decay))
        ops.zero(self.model.gradients)
        return norm  # type: ignore[no-any-return]

    def __call__(self, lr: float, step: int) -> float:
        return self.plan(*self.inputs(lr, step)).item()  # type: ignore[no-any-return]


def state_shape(name: str, like: str, w: Shape) -> Shape:
    """The shape of a parameter's state. A vector is a matrix of one row."""
    shapes = {"like w": w, "rows of w": w[:-1] or (1,), "columns of w": w[-1:]}
    if like not in shapes:
        raise ConfigurationError(f"optimizer state {name}: {like!r} is unknown; allowed: {', '.join(shapes)}")
    return shapes[like]
