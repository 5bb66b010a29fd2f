"""Adam: each parameter moves by its mean gradient over its typical size. Kingma and Ba 2015, arXiv:1412.6980.

g = factor * grad,  t = step + 1
m <- b1 m + (1 - b1) g                  v <- b2 v + (1 - b2) g^2
w <- w - lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
"""

from math import isfinite, prod, sqrt

from microgpt_core.components import Op, flat, stretches, write


class AdamUpdate(Op):
    name = "adam_update"
    mutates = ("w", "m", "v")

    def shapes(self, w, grad, factor, lr, step, m, v, *, beta1=0.9, beta2=0.95, eps=1e-8):
        for name, shape in (("grad", grad), ("m", m), ("v", v)):
            self.expect(name, shape, w)
        for name, shape in (("factor", factor), ("lr", lr), ("step", step)):
            self.expect(name, shape, (1,))
        return {}

    def forward(self, w, grad, factor, lr, step, m, v, *, beta1, beta2, eps):  # w, grad, m, v alike; the others (1,)
        if isfinite(factor[0]):
            adam(w, grad, factor[0], lr[0], step[0] + 1.0, m, v, beta1, beta2, eps, decay=0.0)

    def cost(self, w, grad, factor, lr, step, m, v, *, beta1, beta2, eps):
        """13 per parameter: 3 for m, 4 for v, 6 for w."""
        return {"forward": 13 * prod(w)}


def adam(w, grad, factor, lr, t, m, v, beta1, beta2, eps, *, decay):
    """Move w, m and v by one step, after shrinking w by `decay`."""
    unbias, keep = sqrt(1.0 - beta2**t), 1.0 - decay
    rate, floor = lr * unbias / (1.0 - beta1**t), eps * unbias  # both bias corrections, moved out of the loop
    new1, new2 = (1.0 - beta1) * factor, (1.0 - beta2) * factor * factor
    w, grad, m, v = flat(w), flat(grad), flat(m), flat(v)
    for part in stretches(len(w)):
        means = [beta1 * a + new1 * g for a, g in zip(m[part], grad[part])]
        squares = [beta2 * b + new2 * g * g for b, g in zip(v[part], grad[part])]
        write(w[part], [keep * p - rate * a / (b + floor) for p, a, b in zip(w[part], means, map(sqrt, squares))])
        write(m[part], means)
        write(v[part], squares)
