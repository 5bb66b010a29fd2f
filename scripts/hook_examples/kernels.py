"""A kernel for relu2, and a backend for it to run on. A few numbers at a time: a kernel may take no memory to run."""

from microgpt_core.components import Backend, Kernel, accumulate, flat, write
from microgpt_core.hookspecs import hookimpl

FEW = 1024


class Lists(Backend):
    """Python's lists."""

    name = "lists"


class ReLU2OnLists(Kernel):
    """max(x, 0)^2."""

    name = "lists/relu2"

    def forward(self, out, x):
        out, x = flat(out), flat(x)
        for i in range(0, len(x), FEW):
            write(out[i : i + FEW], [max(v, 0.0) ** 2 for v in x[i : i + FEW]])

    def backward(self, d_x, d_out, x):
        if d_x is None:
            return
        d_x, d_out, x = flat(d_x), flat(d_out), flat(x)
        for i in range(0, len(x), FEW):
            slopes = [2.0 * max(v, 0.0) * g for v, g in zip(x[i : i + FEW], d_out[i : i + FEW])]
            accumulate(d_x[i : i + FEW], slopes)


@hookimpl
def microgpt_backends():
    return {"lists": Lists}


@hookimpl
def microgpt_kernels():
    return {"lists/relu2": ReLU2OnLists}
