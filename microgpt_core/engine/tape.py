"""The tape: what was computed, in order, and how to walk it back."""

from microgpt_core import ops
from microgpt_core.components.op import show_shape
from microgpt_core.engine.context import new_value, perform
from microgpt_core.engine.tensor import Node, Tensor
from microgpt_core.engine.value import Call, Value
from microgpt_core.errors import CaptureError, ShapeError


def history(loss: Tensor) -> list[Node]:
    """Every call that `loss` was computed from, each after those it depends on.

    A depth-first walk with a stack of its own, since Python's would end at a thousand calls.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(loss.node, False)] if loss.node else []
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(p.node, False) for p in reversed(node.parents) if p is not None and p.node is not None]
    return order


def backward(loss: Tensor) -> None:
    """Add d loss / d x into the gradient of every leaf x; a tensor in between holds this pass's gradient."""
    if loss.value.size != 1:
        raise ShapeError(f"backward() starts at a loss of one element; this tensor has shape {show_shape(loss.shape)}")
    if loss.node is None:
        raise CaptureError(
            "backward() has nowhere to go: this tensor has no history. Either nothing it was computed from has "
            "requires_grad, or no_grad() was on, or it came from a replay (call backward() in the captured function)"
        )
    order = history(loss)
    for node in order:
        node.gradients = [None] * len(node.gradients)
    perform(Call(ops.ones_like, "forward", {"out": loss.gradient_value(), "x": loss.value}, {}))
    for node in reversed(order):
        if any(g is not None for g in node.gradients):
            perform(backward_call(node))


def backward_call(node: Node) -> Call:
    """The call that adds to the gradients of a node's inputs what its outputs' gradients give."""
    forward, signature = node.call, node.call.op.signature
    known: dict[str, Value | None] = dict(forward.arguments)
    for name, parent in zip(signature.inputs, node.parents):
        wanted = parent is not None and parent.requires_grad and f"d_{name}" in signature.backward
        known[f"d_{name}"] = parent.gradient_value() if parent is not None and wanted else None
    for name, gradient, output in zip(signature.outputs, node.gradients, node.outputs):
        known[f"d_{name}"] = gradient or new_value(output.shape, output.format, gradient_of=output)
    arguments = {n: known[n] for n in signature.backward}
    return Call(forward.op, "backward", arguments, forward.attributes, forward.scope, forward.inputs)


def tape(loss: Tensor) -> str:
    """The tape of a loss as a table, a line a call: the result, the op, its inputs, what it weighs."""
    names: dict[Value, str] = {}

    def name(value: Value) -> str:
        return names.setdefault(value, value.name or f"x{len(names)}")

    lines = []
    for node in history(loss):
        signature, arguments = node.call.op.signature, node.call.arguments
        inputs = [name(v) for n in signature.inputs if (v := arguments[n]) is not None]
        attributes = [f"{n}={v}" for n, v in node.call.attributes.items() if v is not None]
        made = ", ".join(f"{name(v)} {show_shape(v.shape)}" for v in node.outputs)
        scope = f"   # {node.call.scope}" if node.call.scope else ""
        lines.append(f"{made} = {node.call.op.name}({', '.join(inputs + attributes)}){scope}")
    return "\n".join(lines) or "nothing on the tape: this tensor has no history"
