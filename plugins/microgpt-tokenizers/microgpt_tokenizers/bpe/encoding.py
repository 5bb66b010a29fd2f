"""From text to ids by merges, chunk by chunk: the one to read. Its compiled twin is `native.Encoder`.

It knows nothing of special tokens or Unicode forms, which the tokenizer deals with before it asks.
"""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from microgpt_tokenizers.bpe.splitting import Splitter

CACHED_CHUNKS = 1 << 16  # a language's common words: a few tens of thousands
LONGEST_CACHED = 64  # bytes; longer chunks hardly ever come again
END = -1  # no neighbour


class Encoder:
    """The ids of texts, for one vocabulary.

    `vocabulary` maps the bytes of each token to its id; every one of the 256 bytes is a token. `merges` are
    the pairs that may be joined, the first before the second and so on. Without them two neighbours may be joined
    wherever their joined bytes are a token, the lowest id first, and a chunk that is a token is that
    token: the rule of `.tiktoken` files. Both rules join the leftmost pair first where several have the same rank.

    The caller has checked all that: the 256 bytes, that no pair comes twice, that both sides of a
    pair and what they make are in the vocabulary.
    """

    def __init__(
        self, vocabulary: Mapping[bytes, int], merges: Sequence[tuple[bytes, bytes]] | None, pattern: str
    ) -> None:
        self._vocabulary = vocabulary
        self._order = None if merges is None else {pair: rank for rank, pair in enumerate(merges)}
        self._splitter = Splitter(pattern)
        self._cache: dict[bytes, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Raises UnicodeEncodeError, a ValueError, where it has a lone surrogate."""
        ids: list[int] = []
        for chunk in self._splitter.chunks(text):
            ids += self._encode_chunk(chunk.encode())
        return ids

    def encode_batch(self, texts: Sequence[str], threads: int) -> list[list[int]]:  # noqa: ARG002 - the twin has one
        """The ids of each text. The compiled twin shares them out among `threads`; this one takes them in turn."""
        return [self.encode(text) for text in texts]

    def _encode_chunk(self, chunk: bytes) -> list[int]:
        if (known := self._cache.get(chunk)) is not None:
            return known
        if self._order is None and chunk in self._vocabulary:
            parts = [chunk]
        else:
            parts = self.merged(chunk)
        ids = [self._vocabulary[part] for part in parts]
        if len(chunk) <= LONGEST_CACHED:
            if len(self._cache) >= CACHED_CHUNKS:
                self._cache.clear()  # the common ones are soon back, and nothing has to be remembered about use
            self._cache[chunk] = ids
        return ids

    def _rank(self, left: bytes, right: bytes) -> int | None:
        """When two neighbours are joined: the lower the earlier, None for never."""
        return self._vocabulary.get(left + right) if self._order is None else self._order.get((left, right))

    def merged(self, chunk: bytes) -> list[bytes]:
        """The tokens of a chunk, in time that grows hardly faster than the chunk.

        `parts[i]` is the token that begins at byte i, empty once its left neighbour has swallowed it. `waiting` has
        the places of the pairs of each rank, as they were found: more or less in order, so that sorting them takes one
        look. The heap has each rank once, and not each pair.
        """
        n = len(chunk)
        parts = [chunk[i : i + 1] for i in range(n)]
        before, after = list(range(-1, n - 1)), [*range(1, n), END]
        waiting: dict[int, list[int]] = {}
        ranks: list[int] = []

        def rank_at(left: int) -> int | None:
            right = after[left]
            return self._rank(parts[left], parts[right]) if right != END and parts[left] else None

        def find(left: int) -> None:
            if left == END or (rank := rank_at(left)) is None:
                return
            if rank not in waiting:
                waiting[rank] = []
                heappush(ranks, rank)
            waiting[rank].append(left)

        for left in range(n):
            find(left)
        while ranks:
            rank = heappop(ranks)
            places = iter(sorted(waiting.pop(rank)))
            for left in places:
                if rank_at(left) != rank:
                    continue  # one of the two has been joined with another since
                right = after[left]
                parts[left], parts[right] = parts[left] + parts[right], b""
                after[left] = after[right]
                if after[left] != END:
                    before[after[left]] = left
                find(before[left])
                find(left)
                if ranks and ranks[0] < rank:  # the new token goes before: only where ids aren't in order of making
                    waiting[rank] = list(places)
                    heappush(ranks, rank)
        return [part for part in parts if part]
