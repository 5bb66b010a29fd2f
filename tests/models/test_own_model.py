"""A model of one's own, as a pack would bring it: it trains, generates and is loaded again with nothing more said."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from microgpt_core import ops
from microgpt_core.components import Op, Unary
from microgpt_core.engine.capture import record
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.errors import UnknownNameError
from microgpt_core.inference.language_model import LanguageModel, find_in_core
from microgpt_core.inference.session import Session
from microgpt_core.models.gpt import GPT
from microgpt_core.models.model import Model
from microgpt_core.models.parts.embedding import Embedding
from microgpt_core.models.parts.linear import Linear
from microgpt_core.models.parts.part import Parameter, Part
from microgpt_core.saving.model_folder import write_model
from microgpt_core.text.batches import Batches, encode_documents
from microgpt_core.text.char import Char
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.schedules import Constant
from microgpt_core.training.settings import TrainSettings
from microgpt_core.training.trainer import Trainer

NAMES = ["anna", "hannah", "nan", "ana"]


class Bend(Unary):
    def f(self, x: float) -> float:
        return x * x

    def df(self, x: float) -> float:
        return 2.0 * x


class Sharpen(Part):
    """A part with parameters of its own, one of which isn't decayed."""

    def __init__(self, n_embd: int) -> None:
        self.gain = Parameter((n_embd,), mean=1.0, decay=False)

    def forward(self, x: Tensor) -> Tensor:
        return ops.rmsnorm(x, self.gain)


@dataclass(eq=False)
class Bigram(Model):
    """The next token's logits from the last token alone: no positions, no cache."""

    use = "bigram"
    slots = {"activation": "activation"}

    n_embd: int = 8
    activation: str | Op = "relu"

    def __post_init__(self) -> None:
        self.table = Embedding(self.vocab_size, self.n_embd, 0.5)
        self.sharpen = Sharpen(self.n_embd)
        self.bend = self.op("activation")
        self.head = [Linear(self.n_embd, self.vocab_size, 0.5)]

    def forward(self, tokens: Tensor, positions: Tensor, caches: object = None) -> Tensor:
        return self.head[0](self.sharpen(self.bend(self.table(tokens))))


def bigram(tokenizer: Char, **fields) -> Bigram:
    model = Bigram(vocab_size=tokenizer.vocab_size, block_size=6, **fields)
    model.allocate("float64")
    model.initialise(random.Random(3))
    return model


@pytest.fixture
def tokenizer() -> Char:
    return Char().train(NAMES)


def find(kind: str, name: str) -> object:
    mine = {("models", "bigram"): Bigram, ("ops", "bend"): Bend}
    return mine.get((kind, name)) or find_in_core(kind, name)


def train(model: Model, tokenizer: Char, folder: Path | None = None, steps: int = 60) -> None:
    batches = Batches(
        encode_documents(tokenizer, NAMES), batch_size=4, block_size=6, seed=1, rng=random.Random(1), bos=tokenizer.bos
    )
    settings = TrainSettings(max_steps=steps)
    Trainer(model, tokenizer, batches, AdamW(lr=0.1), Constant(), settings, folder=folder).train()


def test_it_trains_generates_and_is_loaded_again(tokenizer: Char, tmp_path: Path) -> None:
    model = bigram(tokenizer, activation=Bend())
    before = LanguageModel(model, tokenizer).loss(NAMES)
    train(model, tokenizer, tmp_path / "run")
    mine = LanguageModel(model, tokenizer)
    assert mine.loss(NAMES) < 0.6 * before
    again = LanguageModel.load(tmp_path / "run" / "model", find)
    assert (
        again.model.config() == model.config() == {"vocab_size": 4, "block_size": 6, "n_embd": 8, "activation": "bend"}
    )
    assert again.logits([[0, 1, 2]]).tolist() == mine.logits([[0, 1, 2]]).tolist()
    text = mine.generate(seed=4, max_new_tokens=20)
    assert text == again.generate(seed=4, max_new_tokens=20)
    assert set(text) <= set("ahn")
    assert mine.generate(max_new_tokens=30, temperature=0, prompt="h").startswith("ha")


@pytest.mark.parametrize(("kind", "missing"), [("models", "'bigram'"), ("ops", "'bend'")])
def test_a_missing_pack_is_named(tokenizer: Char, tmp_path: Path, kind: str, missing: str) -> None:
    write_model(tmp_path, bigram(tokenizer, activation=Bend()), tokenizer)
    with pytest.raises(UnknownNameError, match=missing):
        LanguageModel.load(tmp_path, lambda k, name: find_in_core(k, name) if k == kind else find(k, name))


def test_a_session_without_caches_reads_its_text_again(tokenizer: Char) -> None:
    """Whatever the pieces, the logits are those of the whole text."""

    class Shuffler(GPT):
        """A GPT that keeps nothing: its logits do depend on all that came before."""

        def caches(self, start: Tensor, rows: int) -> list:
            return []

    model = Shuffler(vocab_size=5, block_size=8, n_head=2, n_embd=4, init_std=0.5, init_output_std=0.5)
    model.allocate("float32")
    model.initialise(random.Random(1))
    text = [0, 3, 1, 4, 2, 2, 1, 3]
    whole = LanguageModel(model, tokenizer).logits([text]).tolist()[0]
    session = Session(model)
    found = [session.read([text[a:b]]) for a, b in ((0, 3), (3, 4), (4, 8))]
    assert found == [[whole[2]], [whole[3]], [whole[7]]]
    assert session.room() == 0


def test_parts_are_named_by_their_place(tokenizer: Char) -> None:
    model = bigram(tokenizer)
    assert [p.name for p in model.parameters()] == ["table.weight", "sharpen.gain", "head.0.weight"]
    assert [p.name for p in model.ordered_parameters()] == ["table.weight", "head.0.weight", "sharpen.gain"]
    tokens = tensor([[0, 1]], "int32")
    trace, _ = record(model, (tokens, tokens))
    assert list(trace.labels) == ["table", "sharpen", "head.0"]


def test_what_isn_t_decayed_isn_t(tokenizer: Char) -> None:
    """AdamW without gradients shrinks matrices only."""
    from microgpt_core.training.update import Update

    model = bigram(tokenizer)
    before = {name: x.tolist() for name, x in model.state().items()}
    update = Update(model, AdamW(weight_decay=0.5))
    update.allocate()
    assert update(lr=0.1, step=0) == 0.0
    after = {name: x.tolist() for name, x in model.state().items()}
    assert after["sharpen.gain"] == before["sharpen.gain"]
    assert after["table.weight"] == [[0.95 * w for w in row] for row in before["table.weight"]]


def test_a_model_without_forward_says_so(tokenizer: Char) -> None:
    @dataclass(eq=False)
    class Empty(Model):
        use = "empty"

    with pytest.raises(NotImplementedError):
        Empty(vocab_size=3, block_size=2)(tensor([[0]], "int32"), tensor([[0]], "int32"))
