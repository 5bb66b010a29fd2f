"""Three linear layers that read one x, as q, k and v of attention do: what a pass makes of their calls.

    q    = x W_q^T + b_q            k = x W_k^T + b_k            v = x W_v^T + b_v
    d_x += d_v W_v + d_k W_k + d_q W_q
    d_W_q += d_q^T x                d_b_q += sum_t d_q           and so on

The weights are three as ever, with a gradient and an update each. With fewer heads of k and v than of q they have
fewer rows.
"""

from microgpt_core import ops
from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes
from microgpt_simd.linear_bfloat16 import LinearBFloat16


class LinearQKV(Op):
    name = "linear_qkv"
    linear: Op = ops.linear
    examples = (
        {"x": (7, 5), "w_q": (4, 5), "w_k": (2, 5), "w_v": (2, 5), "b_q": (4,), "b_k": (2,), "b_v": (2,)},
        {"x": (2, 3, 35), "w_q": (20, 35), "w_k": (20, 35), "w_v": (20, 35)},
        {"x": (1, 1), "w_q": (1, 1), "w_k": (1, 1), "w_v": (1, 1)},
    )

    def shapes(
        self, x: Shape, w_q: Shape, w_k: Shape, w_v: Shape,
        b_q: Shape | None = None, b_k: Shape | None = None, b_v: Shape | None = None,
    ) -> Shapes:  # fmt: skip
        for name, weight in (("w_q", w_q), ("w_k", w_k), ("w_v", w_v)):
            self.expect(name, weight, ("n_out", x[-1]))
        for name, bias, weight in (("b_q", b_q, w_q), ("b_k", b_k, w_k), ("b_v", b_v, w_v)):
            self.expect(name, bias, weight[:1])
        return {"q": (*x[:-1], w_q[0]), "k": (*x[:-1], w_k[0]), "v": (*x[:-1], w_v[0])}

    def forward(
        self, q: Buffer, k: Buffer, v: Buffer, x: Buffer, w_q: Buffer, w_k: Buffer, w_v: Buffer,
        b_q: Buffer | None, b_k: Buffer | None, b_v: Buffer | None,
    ) -> None:  # fmt: skip
        # q, k and v (..., O), x (..., I), weights (O, I), biases (O,), each with an O of its own
        for out, weight, bias in ((q, w_q, b_q), (k, w_k, b_k), (v, w_v, b_v)):
            self.linear.forward(out, x, weight, bias)

    def backward(
        self, d_x: Buffer | None, d_w_q: Buffer | None, d_w_k: Buffer | None, d_w_v: Buffer | None,
        d_b_q: Buffer | None, d_b_k: Buffer | None, d_b_v: Buffer | None,
        d_q: Buffer, d_k: Buffer, d_v: Buffer, x: Buffer, w_q: Buffer, w_k: Buffer, w_v: Buffer,
    ) -> None:  # fmt: skip
        of_v, of_k, of_q = (d_w_v, d_b_v, d_v, w_v), (d_w_k, d_b_k, d_k, w_k), (d_w_q, d_b_q, d_q, w_q)
        for d_weight, d_bias, d_out, weight in (of_v, of_k, of_q):
            self.linear.backward(d_x, d_weight, d_bias, d_out, x, weight)

    def cost(
        self, x: Shape, w_q: Shape, w_k: Shape, w_v: Shape, b_q: Shape | None, b_k: Shape | None, b_v: Shape | None
    ) -> Cost:
        """Those of the three."""
        found: dict[str, int] = {"forward": 0, "d_x": 0}
        for letter, weight, bias in (("q", w_q, b_q), ("k", w_k, b_k), ("v", w_v, b_v)):
            one = self.linear.cost(x, weight, bias)
            found["forward"] += one["forward"]
            found["d_x"] += one["d_x"]
            found |= {f"d_w_{letter}": one["d_weight"], f"d_b_{letter}": one["d_bias"]}
        return found


class LinearQKVBFloat16(LinearQKV):
    """With products of bfloat16."""

    name = "linear_qkv_bfloat16"
    linear = LinearBFloat16()
    rounds = True
