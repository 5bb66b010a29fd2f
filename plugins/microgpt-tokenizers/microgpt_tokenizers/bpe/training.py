"""Learning merges from texts: the one to read. Its compiled twin is `native.train_merges`.

A text is cut into chunks, and merging never crosses the end of one; equal chunks are merged once and counted.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import TypeAlias

from microgpt_tokenizers.bpe.splitting import Splitter

Pair: TypeAlias = tuple[int, int]
Progress: TypeAlias = Callable[[str, int, int], None]


def train_merges(
    texts: Iterable[str], n_merges: int, *, pattern: str, min_frequency: int = 2, progress: Progress | None = None
) -> list[Pair]:
    """The pairs of ids to join, in order: ids 0 to 255 are the bytes, 256 + i is what merge i makes.

    Each merge is the pair of neighbours that comes most often, overlaps counted ("aaa" has two pairs); among
    equals the one whose (left bytes, right bytes) come first in lexicographic order. So the merges depend on the
    texts alone, not on their order, the machine or a hash. There are fewer than `n_merges` where
    no pair comes `min_frequency` times any more. No two merges make the same bytes.

    `progress` is called with what is being done, how much of it is done, and of how much: ("reading", texts
    read, 0 as nobody knows how many there will be), then ("merging", merges made, n_merges).
    """
    counts = count_chunks(texts, pattern, progress)
    words = [list(chunk) for chunk in counts]
    return merge_words(words, list(counts.values()), n_merges, min_frequency, progress)


def count_chunks(texts: Iterable[str], pattern: str, progress: Progress | None) -> Counter[bytes]:
    """How often each chunk comes. Only the distinct ones are in memory, and one text."""
    splitter, counts = Splitter(pattern), Counter[bytes]()
    for done, text in enumerate(texts, start=1):
        counts.update(chunk.encode() for chunk in splitter.chunks(text))
        if progress:
            progress("reading", done, 0)
    return counts


def merge_words(
    words: list[list[int]], frequencies: Sequence[int], n_merges: int, min_frequency: int, progress: Progress | None
) -> list[Pair]:
    """The merges of words that come so often each; changes the words.

    The heap may hold counts that are too high: a pair of two old tokens can only become rarer, as a
    merge makes new neighbours of its new token alone. So whoever comes up is counted again, and waits its new turn.
    """
    counts, where = count_pairs(words, frequencies)
    names = [bytes([i]) for i in range(256)]
    heap = [(-count, names[a], names[b], (a, b)) for (a, b), count in counts.items()]
    heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        believed, left, right, pair = heappop(heap)
        if (count := counts[pair]) < max(min_frequency, 1):
            continue  # too rare, and never to be more
        if count != -believed:
            heappush(heap, (-count, left, right, pair))
            continue
        new = 256 + len(merges)
        merges.append(pair)
        names.append(left + right)
        for a, b in join_everywhere(pair, new, words, frequencies, counts, where):
            heappush(heap, (-counts[a, b], names[a], names[b], (a, b)))
        if progress:
            progress("merging", len(merges), n_merges)
    return merges


def count_pairs(words: Sequence[list[int]], frequencies: Sequence[int]) -> tuple[Counter[Pair], dict[Pair, set[int]]]:
    """How often each pair of neighbours comes, and in which words."""
    counts: Counter[Pair] = Counter()
    where: dict[Pair, set[int]] = defaultdict(set)
    for i, (word, frequency) in enumerate(zip(words, frequencies)):
        for pair in pairwise(word):
            counts[pair] += frequency
            where[pair].add(i)
    return counts, where


def join_everywhere(
    pair: Pair,
    new: int,
    words: list[list[int]],
    frequencies: Sequence[int],
    counts: Counter[Pair],
    where: dict[Pair, set[int]],
) -> set[Pair]:
    """Put `new` for the pair in every word that has it, and count again there. Returns the pairs that are new.

    `where` is not told which words have lost a pair: to look into them in vain is cheaper.
    """
    appeared: set[Pair] = set()
    for i in where.pop(pair):
        frequency = frequencies[i]
        for old in pairwise(words[i]):
            counts[old] -= frequency
        words[i] = joined(words[i], pair, new)
        for now in pairwise(words[i]):
            counts[now] += frequency
            if new in now:
                where[now].add(i)
                appeared.add(now)
    del counts[pair]
    return appeared


def joined(word: Sequence[int], pair: Pair, new: int) -> list[int]:
    """The word with `new` for each pair, from left to right: of three equal tokens the first two are joined."""
    out: list[int] = []
    for token in word:
        if out and (out[-1], token) == pair:
            out[-1] = new
        else:
            out.append(token)
    return out
