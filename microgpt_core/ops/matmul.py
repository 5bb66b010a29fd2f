"""Matrix product of two matrices, as the lessons write it with `@`.

    out[m, n] = sum_k a[m, k] b[k, n]       d_a = d_out b^T        d_b = a^T d_out

Models use `linear`, whose weight is stored transposed so that both operands are read along rows.
"""

from microgpt_core.components import Op, accumulate, columns, products, rows, write


class MatMul(Op):
    name = "matmul"

    def shapes(self, a, b):
        self.expect("a", a, ("m", "k"))
        self.expect("b", b, (a[1], "n"))
        return {"out": (a[0], b[1])}

    def forward(self, out, a, b):  # out (M, N), a (M, K), b (K, N)
        write(out, products(rows(a).tolist(), columns(rows(b).tolist())))

    def backward(self, d_a, d_b, d_out, a, b):
        d_rows = rows(d_out).tolist()
        if d_a is not None:
            accumulate(d_a, products(d_rows, rows(b).tolist()))
        if d_b is not None:
            accumulate(d_b, products(columns(rows(a).tolist()), columns(d_rows)))

    def cost(self, a, b):
        """2 M K N, and as much again for each gradient."""
        product = 2 * a[0] * a[1] * b[1]
        return {"forward": product, "d_a": product, "d_b": product}
