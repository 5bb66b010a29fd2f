"""A tiny run: a model, texts and a trainer, each of whose parts a test can choose."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from microgpt_core.components import Optimizer, Schedule, flat
from microgpt_core.models.gpt import GPT
from microgpt_core.text.batches import Batches, encode_documents, evaluation_batches
from microgpt_core.text.char import Char
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.schedules import Constant
from microgpt_core.training.settings import TrainSettings
from microgpt_core.training.trainer import Trainer

NAMES = ["anna", "bob", "hannah", "otto", "eve", "ada", "nan", "elle", "viv", "aba"]


@dataclass
class Tiny:
    """What a trainer is made of."""

    precision: str = "float64"
    names: tuple[str, ...] = tuple(NAMES)
    held_out: tuple[str, ...] = ("ana", "bebe", "otto")
    seed: int = 5
    block_size: int = 6

    def tokenizer(self) -> Char:
        return Char().train([*NAMES, *self.names, *self.held_out])

    def model(self, **fields: Any) -> GPT:
        sizes = {"n_embd": 8, "n_head": 2, "init_std": 0.2, "init_output_std": 0.2, **fields}
        made = GPT(vocab_size=self.tokenizer().vocab_size, block_size=self.block_size, **sizes)
        made.allocate(self.precision)
        made.initialise(random.Random(self.seed))
        return made

    def batches(self, batch_size: int = 4, batching: str = "documents") -> Batches:
        tokenizer = self.tokenizer()
        return Batches(
            encode_documents(tokenizer, self.names), batching=batching, batch_size=batch_size,
            block_size=self.block_size, seed=self.seed, rng=random.Random(self.seed), bos=tokenizer.bos,
        )  # fmt: skip

    def validation(self, batch_size: int = 2) -> list:
        tokenizer = self.tokenizer()
        documents = encode_documents(tokenizer, self.held_out)
        return list(evaluation_batches(documents, batch_size=batch_size, block_size=self.block_size, bos=tokenizer.bos))

    def trainer(
        self,
        *,
        optimizer: Optimizer | None = None,
        schedule: Schedule | None = None,
        model: GPT | None = None,
        settings: dict[str, Any] | None = None,
        **others: Any,
    ) -> Trainer:
        chosen = TrainSettings(**{"max_steps": 6, "batch_size": 4, "eval_interval": 0, **(settings or {})})
        return Trainer(
            self.model() if model is None else model, self.tokenizer(), self.batches(chosen.batch_size),
            optimizer or AdamW(lr=0.02), schedule or Constant(), chosen, **others,
        )  # fmt: skip


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Tiny]:
    """`tiny(seed=3).trainer(settings={"max_steps": 5})`."""
    return Tiny


@pytest.fixture
def weights() -> Callable[[GPT], dict[str, list[float]]]:
    """A model's weights as numbers, to compare."""
    return lambda model: {name: flat(x).tolist() for name, x in model.state().items()}


@pytest.fixture
def gradients() -> Callable[[GPT], list[float]]:
    """All of a model's gradients in a row."""
    return lambda model: [g for p in model.parameters() for g in flat(p.grad.data)]
