"""A callback: training ends after a number of tokens."""

from dataclasses import dataclass

from microgpt_core.components import Callback
from microgpt_core.hookspecs import hookimpl


@dataclass
class AfterTokens(Callback):
    """Ends training once so many tokens were trained on."""

    name = "after-tokens"
    tokens: int = 10_000

    def on_step(self, metrics):
        return "stop" if metrics["tokens"] >= self.tokens else None


@hookimpl
def microgpt_callbacks():
    return {"after-tokens": AfterTokens}
