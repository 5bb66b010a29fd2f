"""A language model: a model with its tokenizer, ready to be asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, starmap
from pathlib import Path
from random import Random
from typing import Any

from microgpt_core.components import Tokenizer
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.context import no_grad
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.errors import DataError, UnknownNameError, require
from microgpt_core.inference.evaluation import evaluate
from microgpt_core.inference.generate import Token, each_row, generate, prompt_ids
from microgpt_core.inference.sampling import Sampling, sample_rng
from microgpt_core.inference.session import Session
from microgpt_core.models.gpt import GPT
from microgpt_core.models.model import Model
from microgpt_core.ops import OPS
from microgpt_core.saving.model_folder import Find, read_model
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
        self._idle: Session | None = None  # the one used last, for the next that has as many rows
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

        Without `max_new_tokens` a text ends where the model ends it or the block is full. With it, a full block
        isn't the end: the last half is kept and read again, and the model no longer sees what came before.

        The same `seed` gives the same tokens, those of the first text of `stream_many`; with `rng`, its numbers are
        used instead. Raises ConfigurationError
        for settings that make no sense, DataError for a prompt that the tokenizer can't say.
        """
        sampling, ids = Sampling(temperature, top_k, top_p, max_new_tokens), prompt_ids(self.tokenizer, prompt)
        return (token for _, token in self._stream([ids], [sample_rng(seed, 0) if rng is None else rng], sampling))

    def generate_many(self, prompts: Sequence[str], *, seed: int | None = None, **settings: Any) -> list[str]:
        """Each prompt and how the model continues it; further settings are those of `stream_many`."""
        streams = self.stream_many(prompts, seed=seed, **settings)
        return [prompt + "".join(token.text for token in tokens) for prompt, tokens in zip(prompts, streams)]

    def stream_many(
        self, prompts: Sequence[str], *, seed: int | None = None, batch_size: int = 8, **settings: Any
    ) -> Iterator[Iterator[Token]]:
        """For each prompt, in order, what comes after it; `["em"] * 10` asks for ten texts that begin with "em".

        `batch_size` texts are written at once, which changes none of them: the random stream of text i is its own,
        made from `seed` and i. Further settings, and what is raised, are those of `stream`.
        """
        require(batch_size >= 1, "batch_size", batch_size, "1 or more")
        require(not isinstance(prompts, str), "prompts", repr(prompts), f"a list, such as [{prompts!r}]")
        sampling = Sampling(**{"temperature": 0.8} | settings)
        ids = [prompt_ids(self.tokenizer, prompt) for prompt in prompts]
        groups = (range(len(ids))[first : first + batch_size] for first in range(0, len(ids), batch_size))
        streams = (
            (self._stream([ids[i] for i in group], [sample_rng(seed, i) for i in group], sampling), len(group))
            for group in groups
        )
        return chain.from_iterable(starmap(each_row, streams))

    def evaluate(self, documents: Sequence[str]) -> dict[str, float]:
        """How surprised the model is by every token of these documents: the figures of inference.evaluation."""
        require(not isinstance(documents, str), "documents", "one text", "a list of texts, perhaps of one")
        return evaluate(self.model, self.tokenizer, documents, self.kernels)

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
        self, ids: Sequence[list[int]], rngs: Sequence[Random], sampling: Sampling
    ) -> Iterator[tuple[int, Token]]:
        session, self._idle = self._idle, None
        if session is None or session.rows != len(ids):
            session = Session(self.model, self.kernels, len(ids))
        try:
            yield from generate(session, self.tokenizer, ids, rngs, sampling)
        finally:
            self._idle = session

    def _forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        with no_grad():
            return self.model(tokens, positions)
