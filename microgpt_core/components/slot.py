"""Slots: the places in a model that any op of the right signature may fill, named in YAML."""

from microgpt_core.components.op import Op
from microgpt_core.errors import ConfigurationError

# A question mark: the op may take it or not. `...`: further optional inputs are welcome.
SLOTS = {
    "activation": ("x",),
    "norm": ("x", "weight?", "bias?"),
    "attention": ("q", "k", "v", "..."),
    "loss": ("logits", "targets", "..."),
}


def check_slot(op: Op, slot: str) -> None:
    """Raise ConfigurationError, with both signatures side by side, unless `op` fits `slot`."""
    wanted, signature = SLOTS[slot], op.signature
    required = [n for n in wanted if n[-1] not in "?."]
    allowed = {n.rstrip("?") for n in wanted}
    fits = (
        list(signature.inputs[: len(required)]) == required
        and all(n in allowed or n in signature.optional and "..." in wanted for n in signature.inputs)
        and len(signature.outputs) == 1
    )
    if not fits:
        raise ConfigurationError(
            f"{op.name!r} doesn't fit the slot {slot!r}: "
            f"it is {op.name}{signature}, the slot takes {slot}({', '.join(wanted)}) with one output"
        )
