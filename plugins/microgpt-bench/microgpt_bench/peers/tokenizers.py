"""Hugging Face's `tokenizers` as a peer: byte-level BPE, learned and used."""

import json
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any, Self

from microgpt_bench.peers.bpe import check_bpe, part, vocabulary_of
from microgpt_core.components import Tokenizer
from microgpt_core.components.peer import Peer


class Tokenizers(Peer):
    """It learns its threads from RAYON_NUM_THREADS, as every candidate's process has it."""

    name = "tokenizers"

    def unavailable(self) -> str | None:
        return None if find_spec("tokenizers") else "tokenizers isn't installed; try: pip install tokenizers"

    def tokenizer(self, ours: Tokenizer) -> Tokenizer:
        check_bpe(ours, self.name)
        return Theirs(ours)


class Theirs(Tokenizer):
    """The same tokenizer, as that library reads it from its own file format."""

    def __init__(self, ours: Any) -> None:
        """`ours` may have learned nothing yet: then this one is to be trained with the same settings."""
        import tokenizers  # slow, and not everybody has it

        bytes_alone = {bytes([i]): i for i in range(256)}
        vocabulary = vocabulary_of(ours) or part("bpe.vocabulary").Vocabulary(bytes_alone, [], ours.pattern or "gpt2")
        document = part("interchange.tokenizer_json").to_document(vocabulary)
        self.inner = tokenizers.Tokenizer.from_str(json.dumps(document))
        self.inner.encode_special_tokens = True  # in a text they are text
        self.wanted, self.min_frequency = ours.vocab_size, ours.min_frequency
        self.to_bytes = part("interchange.alphabet").to_bytes

    @property
    def vocab_size(self) -> int:  # type: ignore[override]
        return int(self.inner.get_vocab_size())

    def train(self, texts: Iterable[str]) -> Self:
        from tokenizers import pre_tokenizers, trainers

        trainer = trainers.BpeTrainer(
            vocab_size=self.wanted,
            min_frequency=self.min_frequency,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        self.inner.train_from_iterator(texts, trainer)
        return self

    def encode(self, text: str) -> list[int]:
        return list(self.inner.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str], threads: int) -> list[list[int]]:  # noqa: ARG002 - see Tokenizers
        return [found.ids for found in self.inner.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.inner.decode(ids, skip_special_tokens=False))

    def decode_bytes(self, token: int) -> bytes:
        found: bytes = self.to_bytes(self.inner.id_to_token(token))
        return found
