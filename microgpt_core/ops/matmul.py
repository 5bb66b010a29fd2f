"""Matrix product of two matrices, as the lessons write it with `@`.

    out[m, n] = sum_k a[m, k] b[k, n]       d_a += d_out b^T       d_b += a^T d_out

Models use `linear`, whose weight is stored transposed so that both operands are read along rows.
"""

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, products, rows, write


class MatMul(Op):
    name = "matmul"

    def shapes(self, a: Shape, b: Shape) -> Shapes:
        self.expect("a", a, ("m", "k"))
        self.expect("b", b, (a[1], "n"))
        return {"out": (a[0], b[1])}

    def forward(self, out: Buffer, a: Buffer, b: Buffer) -> None:  # out (M, N), a (M, K), b (K, N)
        write(out, products(rows(a).tolist(), rows(b).columns()))

    def backward(self, d_a: Buffer | None, d_b: Buffer | None, d_out: Buffer, a: Buffer, b: Buffer) -> None:
        if d_a is not None:
            accumulate(d_a, products(rows(d_out).tolist(), rows(b).tolist()))
        if d_b is not None:
            accumulate(d_b, products(rows(a).columns(), rows(d_out).columns()))

    def cost(self, a: Shape, b: Shape) -> Cost:
        """2 M K N, and as much again for each gradient."""
        product = 2 * a[0] * a[1] * b[1]
        return {"forward": product, "d_a": product, "d_b": product}
