"""The learning rate falls in halves."""

from dataclasses import dataclass

from microgpt_core.components import Schedule
from microgpt_core.hookspecs import hookimpl


@dataclass
class Halving(Schedule):
    """Half of the rate after each part of the training.

    Fields:
        parts: how many parts there are
    """

    name = "halving"

    parts: int = 4

    def after_warmup(self, progress):
        return 0.5 ** int(self.parts * progress)


@hookimpl
def microgpt_schedules():
    return {"halving": Halving}
