"""A backend whose kernels see bytes, and its only kernel. What it has no kernel for, the reference runs."""

from microgpt_core.components import Backend, Kernel
from microgpt_core.hookspecs import hookimpl

FEW = 4096


class InBytes(Backend):
    """A buffer is bytes in a row."""

    name = "in-bytes"
    priority = -1  # `backend: auto` asks the reference first

    def view(self, buffer):
        return buffer.cast("B")


class ZeroInBytes(Kernel):
    """Zeros."""

    name = "in-bytes/zero"

    def forward(self, x):
        for i in range(0, len(x), FEW):
            x[i : i + FEW] = bytes(len(x[i : i + FEW]))


@hookimpl
def microgpt_backends():
    return {"in-bytes": InBytes}


@hookimpl
def microgpt_kernels():
    return {"in-bytes/zero": ZeroInBytes}
