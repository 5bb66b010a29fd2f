"""A language model: a model with its tokenizer, ready to be asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from microgpt_core.components import Tokenizer
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.context import no_grad
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.errors import DataError
from microgpt_core.inference.generate import Token, generate
from microgpt_core.inference.session import Session
from microgpt_core.models.folder import Find, find_in_core, read_model
from microgpt_core.models.model import Model
from microgpt_core.text.batches import encode_documents, evaluation_batches
from microgpt_core.training.loss import BatchLoss


class LanguageModel:
    """A trained model and its tokenizer. `LanguageModel.load(folder)` reads one from disk."""

    def __init__(self, model: Model, tokenizer: Tokenizer, kernels: Kernels = REFERENCE) -> None:
        self.model, self.tokenizer, self.kernels = model, tokenizer, kernels
        self._session = Session(model, kernels)
        self._logits = Captured(self._forward, kernels, quiet=True)

    @classmethod
    def load(cls, folder: str | Path, find: Find = find_in_core, kernels: Kernels = REFERENCE) -> LanguageModel:
        """The model in a folder. Raises CheckpointError for a folder that holds none."""
        return cls(*read_model(Path(folder), find), kernels)

    def generate(self, prompt: str = "", *, seed: int | None = None, rng: Random | None = None, **settings: Any) -> str:
        """The prompt and how the model continues it. `max_new_tokens`, `temperature`, `top_k`, `top_p` as in `stream`."""
        return prompt + "".join(token.text for token in self.stream(prompt, seed=seed, rng=rng, **settings))

    def stream(
        self,
        prompt: str = "",
        *,
        max_new_tokens: int | None = None,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        rng: Random | None = None,
    ) -> Iterator[Token]:
        """What comes after the prompt, token by token. The same `seed` gives the same tokens."""
        return generate(
            self._session, self.tokenizer, prompt, rng or Random(seed),
            max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p,
        )  # fmt: skip

    def logits(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """The logits (B, T, V) after each of the tokens (B, T). Read them before the next call."""
        ids = tensor(tokens, "int32")
        if len(ids.shape) != 2 or ids.shape[1] > self.model.block_size:
            raise DataError(f"tokens have shape {ids.shape}, expected (B, T) with T at most {self.model.block_size}")
        positions = tensor([list(range(ids.shape[1]))] * ids.shape[0], "int32")
        return self._logits(ids, positions)  # type: ignore[no-any-return]

    def loss(self, documents: Sequence[str], batching: str = "documents", batch_size: int = 8) -> float:
        """The mean loss in nats per token over all of these documents."""
        ids = encode_documents(self.tokenizer, documents)
        batches = evaluation_batches(
            ids, batching=batching, batch_size=batch_size, block_size=self.model.block_size, bos=self.tokenizer.bos
        )
        return BatchLoss(self.model, kernels=self.kernels).evaluate(batches)

    def _forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        with no_grad():
            return self.model(tokens, positions)  # type: ignore[no-any-return]
