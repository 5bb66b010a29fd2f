"""A bigram model: the next token from the last one alone."""

from dataclasses import dataclass

from microgpt_core.hookspecs import hookimpl
from microgpt_core.models.model import Model
from microgpt_core.models.parts.embedding import Embedding


@dataclass(eq=False)
class Bigram(Model):
    """A row of logits for each token.

    Fields:
        block_size: the most tokens it sees at once
    """

    use = "bigram"
    token_rows = ("table.weight",)

    block_size: int = 16

    def __post_init__(self):
        self.table = Embedding(self.vocab_size, self.vocab_size, std=0.02)

    def forward(self, tokens, positions, caches=None, noise=None):
        return self.table(tokens)  # (B, T) -> (B, T, V)


@hookimpl
def microgpt_models():
    return {"bigram": Bigram}
