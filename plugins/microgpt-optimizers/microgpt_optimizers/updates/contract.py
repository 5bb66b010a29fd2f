"""What all update rules are given: a parameter and its gradient, three numbers, and state."""

from microgpt_core.components import Op, Shape

ONE = {"factor": [0.5], "lr": [0.1], "step": [3.0]}  # to try a rule with


def check_shapes(
    op: Op, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, **alike: Shape | None
) -> dict[str, Shape]:
    """The shapes of an update's outputs, of which there are none. Raises ShapeError unless what is alike is like w."""
    for name, shape in {"grad": grad, **alike}.items():
        op.expect(name, shape, w)
    for name, shape in (("factor", factor), ("lr", lr), ("step", step)):
        op.expect(name, shape, (1,))
    return {}
