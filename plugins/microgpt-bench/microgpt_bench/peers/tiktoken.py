"""OpenAI's `tiktoken` as a peer: it encodes with what others have learned."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from microgpt_bench.peers.bpe import check_bpe, part, vocabulary_of
from microgpt_core.components import Tokenizer
from microgpt_core.components.peer import Peer
from microgpt_core.errors import ConfigurationError


class Tiktoken(Peer):
    """Our tokens are its ranks, our pattern is its own."""

    name = "tiktoken"

    def unavailable(self) -> str | None:
        return None if find_spec("tiktoken") else "tiktoken isn't installed; try: pip install tiktoken"

    def tokenizer(self, ours: Tokenizer) -> Tokenizer:
        check_bpe(ours, self.name)
        vocabulary = vocabulary_of(ours)
        if vocabulary is None:
            raise ConfigurationError("it learns no vocabularies; it is measured with: --what encode,decode")
        return Theirs(vocabulary)


class Theirs(Tokenizer):
    """The same tokenizer, without special tokens."""

    def __init__(self, vocabulary: Any) -> None:
        import tiktoken  # not everybody has it

        patterns = part("bpe.splitting").PATTERNS
        self.inner = tiktoken.Encoding(
            "ours",
            pat_str=patterns.get(vocabulary.pattern, vocabulary.pattern),
            mergeable_ranks=vocabulary.tokens,
            special_tokens={},
        )
        self.vocab_size = self.inner.n_vocab

    def encode(self, text: str) -> list[int]:
        return self.inner.encode_ordinary(text)

    def encode_batch(self, texts: Sequence[str], threads: int) -> list[list[int]]:
        if threads == 1:  # without the threads that one worker would cost, too
            return [self.inner.encode_ordinary(text) for text in texts]
        return self.inner.encode_ordinary_batch(list(texts), num_threads=threads)

    def decode(self, ids: Sequence[int]) -> str:
        return self.inner.decode(ids)
