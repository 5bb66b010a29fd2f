"""The end of a training step in one call: the last linear layer, cross-entropy, and the gradients of both.

    linear.forward          logits = x W^T
    cross_entropy.forward   loss                            linear_cross_entropy.forward
    ones_like.forward       d_loss = 1              ->          loss, d_x, and d_W added to
    cross_entropy.backward  d_logits
    linear.backward         d_x, d_W

A plan that keeps the logits, or hasn't all five, stays as it is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from microgpt_core import ops
from microgpt_core.components import Pass
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_simd.linear_cross_entropy import LinearCrossEntropy
from microgpt_simd.passes.uses import Uses, find_uses


class FusedLoss(Pass):
    """The last linear layer, cross-entropy and their gradients in one call, which never holds all logits."""

    name: ClassVar[str] = "fused-loss"
    fuses: ClassVar[tuple[str, ...]] = ("linear", "linear_bfloat16", "cross_entropy")

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        calls: list[Call | None] = list(trace.calls)
        uses = find_uses(trace.calls)
        for at, call in enumerate(trace.calls):
            if call.op is ops.cross_entropy and call.method == "forward":
                found = five(at, trace.calls, uses)
                if found and may_be_fused(found, trace.calls, uses, kept):
                    for position in found:
                        calls[position] = None
                    calls[at] = fuse(*(trace.calls[position] for position in found))
        return replace(trace, calls=[call for call in calls if call])


def five(at: int, calls: Sequence[Call], uses: Uses) -> tuple[int, ...] | None:
    """Where the five calls are around the loss at position `at`; None where nobody else may have what they make."""
    of_logits = uses[calls[at].arguments["logits"]]
    if len(of_logits) != 3 or of_logits[1] != at:
        return None
    first, _, back = of_logits
    of_seed, of_gradient = (uses[calls[back].arguments.get(name)] for name in ("d_loss", "d_logits"))
    if len(of_seed) != 2 or len(of_gradient) != 2:
        return None
    found = (first, at, of_seed[0], back, of_gradient[1])
    wanted = [
        (ops.linear, "forward"), (ops.cross_entropy, "forward"), (ops.ones_like, "forward"),
        (ops.cross_entropy, "backward"), (ops.linear, "backward"),
    ]  # fmt: skip
    return found if [(calls[i].op, calls[i].method) for i in found] == wanted else None


def may_be_fused(found: Sequence[int], calls: Sequence[Call], uses: Uses, kept: Sequence[Value]) -> bool:
    """Whether the call that takes the five's place may do at once what they do one after the other."""
    project, loss, seed, back, last = (calls[i] for i in found)
    logits = loss.arguments["logits"]
    inner = (logits, seed.arguments["out"], back.arguments["d_logits"])
    d_x, d_weight = last.arguments["d_x"], last.arguments["d_weight"]
    between = range(found[1] + 1, found[4])  # d_W is now added to before these
    return (
        logits is not None and logits.format == "f"
        and seed.arguments["x"] is loss.arguments["loss"]
        and (project.arguments["bias"], last.arguments["d_bias"]) == (None, None)
        and d_x is not None and not d_x.external and uses[d_x][0] == found[4]  # it is written, not added to
        and not any(value in kept for value in inner)
        and not any(at in between for at in uses[d_weight] if d_weight)
    )  # fmt: skip


def fuse(project: Call, loss: Call, seed: Call, back: Call, last: Call) -> Call:
    arguments = {
        "loss": loss.arguments["loss"], "x_gradient": last.arguments["d_x"], "x": project.arguments["x"],
        "weight": project.arguments["weight"], "targets": loss.arguments["targets"],
        "scale": loss.arguments["scale"], "weight_gradient": last.arguments["d_weight"],
    }  # fmt: skip
    attributes = {**loss.attributes, "bfloat16": False}
    return Call(LinearCrossEntropy(), "forward", arguments, attributes, scope=project.scope)
