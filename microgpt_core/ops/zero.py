"""Fill with zeros: what gradients start from, since backward adds."""

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes


class Zero(Op):
    mutates = ("x",)

    def shapes(self, x: Shape) -> Shapes:
        return {}

    def forward(self, x: Buffer) -> None:  # x of any shape
        view, zeros = x.cast("B"), bytes(4096)
        for at in range(0, x.nbytes, len(zeros)):
            view[at : at + len(zeros)] = zeros[: x.nbytes - at]

    def cost(self, x: Shape) -> Cost:
        """Nothing is computed."""
        return {"forward": 0}
