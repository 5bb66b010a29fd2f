"""Upper case."""

from dataclasses import dataclass

from microgpt_core.components import Transform
from microgpt_core.hookspecs import hookimpl


@dataclass
class Shout(Transform):
    """Every document in capital letters."""

    name = "shout"

    def apply(self, texts, split):
        for text in texts:
            yield text.upper()


@hookimpl
def microgpt_transforms():
    return {"shout": Shout}
