"""Fill with zeros: what gradients start from, since backward adds."""

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes


class Zero(Op):
    mutates = ("x",)

    def shapes(self, x: Shape) -> Shapes:
        return {}

    def forward(self, x: Buffer) -> None:  # x of any shape
        x.cast("B")[:] = bytes(x.nbytes)

    def cost(self, x: Shape) -> Cost:
        """Nothing is computed."""
        return {"forward": 0}
