"""Weights of eight bits: what a model learns and writes if its matrices are rounded to 255 levels."""

from dataclasses import replace

from microgpt_core import ops
from microgpt_core.components import Pass, flat, new_buffer, write
from microgpt_core.hookspecs import hookimpl
from microgpt_core.ops.linear import Linear


class _Linear8(Linear):
    """A linear layer that rounds its weights before it multiplies. What is learned is what they were rounded from."""

    name = "linear8"

    def forward(self, out, x, weight, bias):
        super().forward(out, x, rounded(weight), bias)

    def backward(self, d_x, d_weight, d_bias, d_out, x, weight):
        super().backward(d_x, d_weight, d_bias, d_out, x, rounded(weight))


def rounded(weight):
    """The same numbers, each a multiple of a 127th of the largest."""
    step, result = max(map(abs, flat(weight))) / 127 or 1.0, new_buffer(weight.shape, weight.format)
    write(result, [round(w / step) * step for w in flat(weight)])
    return result


class Weights8(Pass):
    """Every linear layer with weights of eight bits."""

    name = "weights8"
    tolerance = 0.1

    def rewrite(self, trace, kept):
        calls = [replace(call, op=_Linear8()) if call.op is ops.linear else call for call in trace.calls]
        return replace(trace, calls=calls)


@hookimpl
def microgpt_passes():
    return {"weights8": Weights8}
