"""An activation: y = x^3."""

from microgpt_core.components import Unary
from microgpt_core.hookspecs import hookimpl


class Cube(Unary):
    def f(self, x):
        return x * x * x

    def df(self, x):
        return 3.0 * x * x


@hookimpl
def microgpt_ops():
    return {"cube": Cube}
