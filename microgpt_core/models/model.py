"""Model: what the trainer and the sampler know of a model, whatever its architecture.

A pack's model subclasses it as a dataclass whose fields are its YAML keys, builds its parts in
`__post_init__`, and computes logits in `forward(tokens, positions, caches)`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any, ClassVar

from microgpt_core.components import Op
from microgpt_core.components.buffer import FORMATS, ITEM_BYTES, Buffer
from microgpt_core.components.slot import check_slot
from microgpt_core.engine.region import aligned, allocate_together
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.models.parts.attention import Cache
from microgpt_core.models.parts.part import Parameter, Part
from microgpt_core.ops import OPS


@dataclass(eq=False)
class Model(Part):
    """Tokens to logits. `slots` says which fields name an op, and which slot it fills."""

    use: ClassVar[str]  # the name it is registered under
    slots: ClassVar[Mapping[str, str]] = {}

    vocab_size: int
    block_size: int

    def forward(self, tokens: Tensor, positions: Tensor, caches: Sequence[Cache] | None = None) -> Tensor:
        """Logits (B, T, V) of tokens (B, T), each at its position (B, T) in its document."""
        raise NotImplementedError

    def caches(self, start: Tensor, rows: int) -> list[Cache]:
        """A cache for each layer: `rows` tokens for each of start's sequences, the next going to start."""
        raise NotImplementedError

    def op(self, field: str) -> Op:
        """The op that a slot's field names: an op itself, or the name of one of the core's."""
        named = getattr(self, field)
        if isinstance(named, str) and named not in OPS:
            raise UnknownNameError(self.slots[field], named, OPS)
        op = OPS[named] if isinstance(named, str) else named
        check_slot(op, self.slots[field])
        return op

    def finish(self) -> None:
        """To be called when the parts are built: names them."""
        self.name_parts()
        self.precision = "float32"

    def allocate(self, precision: str = "float32") -> None:
        """Give parameters and gradients their regions, zeros at first: what decays, then what doesn't."""
        self.set_precision(precision)
        allocate_together(p.value for p in self.ordered_parameters())
        trained = [p.gradient_value() for p in self.ordered_parameters() if p.requires_grad]
        whole = self._gradients
        whole.data = allocate_together(trained).view(0, whole.shape, whole.format, whole.nbytes)

    def set_precision(self, precision: str) -> None:
        """Fix the number format, without allocating anything: enough to capture a plan."""
        if precision not in ("float32", "float64"):
            raise ConfigurationError(f"precision: {precision!r} is unknown; allowed: float32, float64")
        self.precision = precision
        nbytes = 0
        for p in self.ordered_parameters():
            p.value.format = FORMATS[precision]
            if p.requires_grad:
                gradient = p.gradient_value()
                gradient.format, gradient.name = FORMATS[precision], f"grad {p.name}"
                nbytes += aligned(gradient.nbytes)
        self._gradients = Value((nbytes // ITEM_BYTES[FORMATS[precision]],), FORMATS[precision], name="all gradients", persistent=True)

    @property
    def gradients(self) -> Tensor:
        """The region of all gradients as one row of numbers (the gaps of its alignment are zeros)."""
        return Tensor(self._gradients)

    def ordered_parameters(self) -> list[Parameter]:
        """The parameters as they lie in memory: the decayed group first."""
        return sorted(self.parameters(), key=lambda p: not p.decay)

    def initialise(self, rng: random.Random) -> None:
        """Draw all weights from `rng`, parameter by parameter in the order of the model's parts."""
        for p in self.parameters():
            p.initialise(rng)

    def state(self) -> dict[str, Buffer]:
        """The parameters' buffers by name."""
        return {p.name: p.data for p in self.parameters()}

    @property
    def n_parameters(self) -> int:
        return sum(prod(p.shape) for p in self.parameters())

    def config(self) -> dict[str, Any]:
        """The fields that make this model again, ops by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {n: v.name if isinstance(v, Op) else v for n, v in values.items()}
