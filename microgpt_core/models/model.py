"""Model: what the trainer and the sampler know of a model, whatever its architecture.

A pack's model subclasses it as a dataclass whose fields are its YAML keys, builds its parts in
`__post_init__`, and computes logits in `forward(tokens, positions, caches, noise)`. The rest can be left as it is.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from math import prod
from typing import Any, ClassVar

from microgpt_core.components import Op
from microgpt_core.components.buffer import FORMATS, ITEM_BYTES, Buffer
from microgpt_core.components.slot import check_slot, fits_slot
from microgpt_core.engine.region import aligned, allocate_together
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import ConfigurationError, UnknownNameError, nearest, require
from microgpt_core.models.parts.attention import Cache
from microgpt_core.models.parts.part import Parameter, Part
from microgpt_core.ops import OPS

PRECISIONS = ("float32", "float64")


@dataclass(eq=False)
class Model(Part):
    """Tokens to logits. `slots` says which fields name an op, and which slot it fills."""

    use: ClassVar[str]  # the name it is registered under
    slots: ClassVar[Mapping[str, str]] = {}
    tunable: ClassVar[Sequence[str]] = ()  # the fields in which a model may differ from the one that it begins with
    token_rows: ClassVar[Sequence[str]] = ("wte.weight", "lm_head.weight")  # parameters with a row for each token
    precision = PRECISIONS[0]  # no field: it is a run's choice, not an architecture's

    vocab_size: int
    block_size: int

    def forward(
        self, tokens: Tensor, positions: Tensor, caches: Sequence[Cache] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Logits (B, T, V) of tokens (B, T), each at its position (B, T) in its document.

        Causal: what comes after a token changes nothing in its logits. `noise`, [seed, step, row offset], comes in
        training and only where `noisy` is true: chance is a function of it.
        """
        raise NotImplementedError

    @property
    def separates_documents(self) -> bool:
        """Whether `positions` keep documents in one row from seeing each other, as packed batches need it."""
        return True

    @property
    def noisy(self) -> bool:
        """Whether training draws chance, as dropout does."""
        return False

    def caches(self, start: Tensor, rows: int) -> list[Cache]:
        """A cache for each layer: `rows` tokens for each of start's sequences, the next going to start.

        None of them, unless a model says otherwise: a session then reads its whole text again for every token.
        """
        return []

    def op(self, field: str) -> Op:
        """The op that a slot's field names: an op itself, or the name of one of the core's."""
        slot, op = self.slots[field], getattr(self, field)
        if isinstance(op, str):
            if op not in OPS:
                raise UnknownNameError(slot, op, [name for name, known in OPS.items() if fits_slot(known, slot)])
            op = OPS[op]
        if not isinstance(op, Op):
            raise ConfigurationError(f"{field}: found {op!r}, allowed: an op or its name, such as 'relu2'")
        check_slot(op, slot)
        return op

    def __call__(self, *inputs: Any) -> Tensor:
        if any(not p.name for p in self.parameters()):
            self.name_parts()  # before anything is computed in their scopes
        return super().__call__(*inputs)

    def freeze(self, patterns: Sequence[str]) -> None:
        """Leave out of training what matches, by its name or that of a part around it: `wte`, `block.0.*`.

        Raises ConfigurationError for a pattern that matches nothing, and where nothing would be left.
        """
        require(not isinstance(patterns, str), "freeze", repr(patterns), f"a list, such as [{patterns!r}]")
        self.name_parts()
        every = dict.fromkeys(path for p in self.parameters() for path in paths(p.name))
        for pattern in patterns:
            matching = [p for p in self.parameters() if any(fnmatchcase(name, pattern) for name in paths(p.name))]
            if not matching:
                if shared := [p.name for n, part in self.parts() if fnmatchcase(n, pattern) for p in part.parameters()]:
                    raise ConfigurationError(f"{pattern} has no parameter of its own: it shares {', '.join(shared)}")
                known = ", ".join(name for name, part in self.parts() if name in every)
                found = f"{pattern!r}{nearest(pattern, every)}"
                raise ConfigurationError(f"unknown part of the model {found}; known: {known}, and what is in them")
            for p in matching:
                p.requires_grad = False
        if not any(p.requires_grad for p in self.parameters()):
            raise ConfigurationError(f"{', '.join(patterns)} leaves no parameter to train")

    def set_precision(self, precision: str) -> None:
        """Name the parts and fix the number format, without allocating anything: enough to capture a plan."""
        if precision not in PRECISIONS:
            raise ConfigurationError(f"precision: found {precision!r}, allowed: {', '.join(PRECISIONS)}")
        self.precision, format = precision, FORMATS[precision]
        self.name_parts()
        self.gradient_values: list[Value] = []  # as they lie in memory
        for p in self.ordered_parameters():
            p.value.format = format
            if p.requires_grad:
                self.gradient_values.append(gradient := p.gradient_value())
                gradient.format, gradient.name = format, f"grad {p.name}"
        numbers = sum(aligned(gradient.nbytes) for gradient in self.gradient_values) // ITEM_BYTES[format]
        self._gradients = Value((max(1, numbers),), format, name="all gradients", persistent=True)  # 1: all are frozen

    def allocate(self, precision: str = "float32") -> None:
        """Give parameters and gradients their regions, zeros at first: what decays, then what doesn't."""
        self.set_precision(precision)
        allocate_together(p.value for p in self.ordered_parameters())
        region, whole = allocate_together(self.gradient_values), self._gradients
        region.reserve(whole.nbytes)
        whole.data = region.view(0, whole.shape, whole.format, whole.nbytes)

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


def paths(name: str) -> Iterator[str]:
    """A parameter's name and those of the parts around it: `block.0.mlp.fc1.weight`, `block.0.mlp.fc1`, ..."""
    while name:
        yield name
        name = name.rpartition(".")[0]
