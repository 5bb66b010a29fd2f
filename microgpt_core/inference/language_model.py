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
from microgpt_core.errors import DataError, UnknownNameError, require
from microgpt_core.inference.generate import Token, generate, prompt_ids
from microgpt_core.inference.sampling import Sampling
from microgpt_core.inference.session import Session
from microgpt_core.models.folder import Find, read_model
from microgpt_core.models.gpt import GPT
from microgpt_core.models.model import Model
from microgpt_core.ops import OPS
from microgpt_core.text.batches import encode_documents, evaluation_batches
from microgpt_core.text.char import Char
from microgpt_core.training.loss import BatchLoss


def find_in_core(kind: str, name: str) -> Any:
    """The core's own models, tokenizers and ops, without any registry."""
    components: dict[str, dict[str, Any]] = {"models": {"gpt": GPT}, "tokenizers": {"char": Char}, "ops": {**OPS}}
    known = components[kind]
    if name not in known:
        raise UnknownNameError(kind, name, known, "What a pack brings is found by mg.load")
    return known[name]


class LanguageModel:
    """A trained model and its tokenizer. `LanguageModel.load(folder)` reads one from disk."""

    def __init__(self, model: Model, tokenizer: Tokenizer, kernels: Kernels = REFERENCE) -> None:
        self.model, self.tokenizer, self.kernels = model, tokenizer, kernels
        self._idle: list[Session] = []  # those that no stream uses now
        self._logits = Captured(self._forward, kernels, quiet=True)

    @classmethod
    def load(cls, folder: str | Path, find: Find = find_in_core, kernels: Kernels = REFERENCE) -> LanguageModel:
        """The model in a folder. Raises CheckpointError for a folder that holds none."""
        return cls(*read_model(Path(folder), find), kernels)

    def generate(self, prompt: str = "", *, seed: int | None = None, rng: Random | None = None, **settings: Any) -> str:
        """The prompt and how the model continues it; further settings are those of `stream`."""
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
        """What comes after the prompt, token by token; streams may run side by side.

        The same `seed` gives the same tokens; with `rng`, its numbers are used instead. Raises ConfigurationError
        for settings that make no sense, DataError for a prompt that the tokenizer can't say.
        """
        require(max_new_tokens is None or max_new_tokens >= 0, "max_new_tokens", max_new_tokens, "0 or more")
        sampling, ids = Sampling(temperature, top_k, top_p), prompt_ids(self.tokenizer, prompt)
        return self._stream(ids, Random(seed) if rng is None else rng, sampling, max_new_tokens)

    def logits(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """The logits (B, T, V) after each of the tokens (B, T)."""
        ids = tensor(tokens, "int32")
        if len(ids.shape) != 2 or ids.shape[1] > self.model.block_size:
            raise DataError(f"tokens have shape {ids.shape}, expected (B, T) with T at most {self.model.block_size}")
        positions = tensor([list(range(ids.shape[1]))] * ids.shape[0], "int32")
        logits = self._logits(ids, positions)
        copy = memoryview(bytearray(logits.data))  # the next call writes over the original
        return tensor(copy.cast(logits.value.format, logits.shape))

    def loss(self, documents: Sequence[str], batching: str = "documents", batch_size: int = 8) -> float:
        """The mean loss in nats per token over all of these documents."""
        ids = encode_documents(self.tokenizer, documents)
        batches = evaluation_batches(
            ids, batching=batching, batch_size=batch_size, block_size=self.model.block_size, bos=self.tokenizer.bos
        )
        return BatchLoss(self.model, kernels=self.kernels).evaluate(batches)

    def _stream(
        self, ids: Sequence[int], rng: Random, sampling: Sampling, max_new_tokens: int | None
    ) -> Iterator[Token]:
        session = self._idle.pop() if self._idle else Session(self.model, self.kernels)
        try:
            yield from generate(session, self.tokenizer, ids, rng, sampling, max_new_tokens)
        finally:
            self._idle.append(session)

    def _forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        with no_grad():
            return self.model(tokens, positions)
