"""How large the numbers become."""

from microgpt_core.components import Analyzer, flat
from microgpt_core.hookspecs import hookimpl


class Largest(Analyzer):
    """The largest number that comes out of each block, step by step."""

    name = "largest"
    watch = ("block.?",)

    def __init__(self):
        self.seen = {}

    def observe(self, step, values):
        self.seen[step] = {scope: max(map(abs, flat(x))) for scope, x in values.items()}

    def report(self):
        return {"largest": self.seen}


@hookimpl
def microgpt_analyzers():
    return {"largest": Largest}
