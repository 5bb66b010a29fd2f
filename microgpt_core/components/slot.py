"""Slots: the places in a model that any op of the right signature may fill, named in YAML."""

from microgpt_core.components.op import Op
from microgpt_core.components.signature import REQUIRED
from microgpt_core.errors import ConfigurationError, ShapeError

# A question mark: the op may take it or not. `...`: further optional inputs are welcome. An op may do without what it
# takes: a norm's weight tells it from an activation, though not every model learns one.
SLOTS = {
    "activation": ("x", "gate?"),
    "norm": ("x", "weight", "bias?"),
    "attention": ("q", "k", "v", "..."),
    "loss": ("logits", "targets", "..."),
}
KEEPS_SHAPE = ("activation", "norm")
SAMPLE = (2, 3, 4)  # any shape (B, T, C) will do


def fits_slot(op: Op, slot: str) -> bool:
    """Whether the op takes what the slot gives, and returns one thing that a gradient can come back through."""
    wanted, signature = SLOTS[slot], op.signature
    required = [n for n in wanted if n[-1] not in "?."]
    allowed = {n.rstrip("?") for n in wanted}
    return (
        list(signature.inputs[: len(required)]) == required
        and all(n in allowed or (n in signature.optional and "..." in wanted) for n in signature.inputs)
        and len(signature.outputs) == 1
        and required[0] in signature.gradients
        and (slot not in KEEPS_SHAPE or keeps_shape(op))
    )


def keeps_shape(op: Op) -> bool:
    """Whether the output is shaped like the first input. An op that needs an attribute to tell doesn't fit anyway."""
    if any(default is REQUIRED for default in op.signature.attributes.values()):
        return False
    shapes = [SAMPLE if name in ("x", "gate") else SAMPLE[-1:] for name in op.signature.inputs]
    try:
        return op.shapes(*shapes, **op.signature.attributes)[op.signature.outputs[0]] == SAMPLE
    except ShapeError:
        return False


def check_slot(op: Op, slot: str) -> None:
    """Raise ConfigurationError, with both signatures side by side, unless `op` fits `slot`."""
    if not fits_slot(op, slot):
        like_x = f", shaped like {SLOTS[slot][0]}" if slot in KEEPS_SHAPE else ""
        raise ConfigurationError(
            f"{op.name!r} doesn't fit the slot {slot!r}: it is {op.name}{op.signature}, the slot takes "
            f"{slot}({', '.join(SLOTS[slot])}) with one differentiable output{like_x}"
        )
