"""The golden models: sizes that never change, so that numbers of other days, versions and programs can be compared.

Their text is names, for the sizes of a names model, and random tokens for the others, always the same.
"""

import random
from array import array
from dataclasses import dataclass, field
from typing import Any

from microgpt_core.components import flat
from microgpt_core.models.gpt import GPT
from microgpt_core.models.parts.part import Parameter
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.text.batch import Batch
from microgpt_core.text.batches import Batches, encode_documents
from microgpt_core.text.char import Char
from microgpt_core.text.names import Names
from microgpt_core.training.optimizers import AdamW

SEED = 1
DRAWN = 65_537  # a prime, so that no two rows are the same
LR = 1e-3
# Of the output projections. From 0, with which lessons begin, half of the gradients would be 0: nothing to compare.
OUTPUT_STD = 0.02


@dataclass(frozen=True)
class Golden:
    """A model, and what a training step of it reads."""

    name: str
    vocab_size: int
    rows: int  # of a batch; with batching `packed` they are joined to one
    batching: str
    fields: dict[str, Any] = field(hash=False)  # of the GPT
    recompute: int = 0  # blocks whose values backward computes again

    @property
    def of_names(self) -> bool:
        """Whether its text is documents; otherwise it is a single long one."""
        return self.vocab_size == 27

    @property
    def tokens(self) -> int:
        """Positions in a batch. Rates count targets, which packed batches have a few less of."""
        return self.rows * int(self.fields["block_size"])

    def build(self, precision: str = "float32") -> GPT:
        """The model with its first weights, the same every time. With bfloat16 products they are float32."""
        model = self.shape()
        model.allocate("float32" if precision == "bfloat16" else precision)
        rng = random.Random(SEED)
        for parameter in model.parameters():
            draw(parameter, rng)
        return model

    def shape(self) -> GPT:
        """The model without memory: enough for a plan."""
        return GPT(vocab_size=self.vocab_size, **{"init_output_std": OUTPUT_STD, **self.fields})

    def batches(self, n: int) -> list[Batch]:
        """The first `n` batches."""
        rng, block_size = random.Random(SEED), self.fields["block_size"]
        if self.of_names:
            texts = Names(validation=0.0).all_documents()
            tokenizer = Char().train(texts)
            documents, bos = encode_documents(tokenizer, texts), tokenizer.bos
        else:
            documents, bos = [[rng.randrange(self.vocab_size) for _ in range(8 * self.tokens)]], None
        found = Batches(
            documents, batching=self.batching, batch_size=self.rows, block_size=block_size, seed=SEED, rng=rng, bos=bos
        )
        return [found.batch(i) for i in range(n)]

    def optimizer(self) -> AdamW:
        """AdamW without decay."""
        return AdamW(lr=LR, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0)


def draw(parameter: Parameter, rng: random.Random) -> None:
    """First weights; of a large matrix the first are drawn and then repeated, or GPT-2 would take minutes."""
    numbers = flat(parameter.data)
    if parameter.std is None or len(numbers) <= DRAWN:
        parameter.initialise(rng)
        return
    drawn = array(numbers.format, (rng.gauss(parameter.mean, parameter.std) for _ in range(DRAWN)))
    for start in range(0, len(numbers), DRAWN):
        numbers[start : start + DRAWN] = drawn[: len(numbers) - start]


def sized(n_embd: int, n_layer: int, n_head: int, block_size: int) -> dict[str, Any]:
    return {"n_embd": n_embd, "n_layer": n_layer, "n_head": n_head, "block_size": block_size}


GOLDEN = {
    golden.name: golden
    for golden in (
        Golden("e16", 27, 1, "random_window", sized(16, 1, 4, 8)),
        Golden("e64", 27, 1, "random_window", sized(64, 2, 4, 16)),
        Golden("e128", 27, 1, "random_window", sized(128, 4, 4, 32)),
        Golden("w16", 27, 7, "packed", sized(16, 1, 4, 16)),
        Golden("w32", 27, 7, "packed", sized(32, 1, 4, 16)),
        Golden("w64", 27, 7, "packed", sized(64, 1, 4, 16)),
        Golden("w128", 27, 7, "packed", sized(128, 1, 8, 16)),
        Golden("char-small", 65, 12, "random_window", sized(128, 4, 4, 64)),
        Golden("char", 65, 16, "random_window", sized(384, 6, 6, 256)),
        Golden("gpt2", 50257, 4, "random_window", PRESETS["gpt2"].fields | {"block_size": 256}),
    )
}
