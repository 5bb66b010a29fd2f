"""How large a vocabulary should be: what compression each size buys, and for how many parameters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from microgpt_core.errors import require
from microgpt_tokenizers.bpe.tokenizer import Bpe
from microgpt_tokenizers.bpe.training import Progress
from microgpt_tokenizers.bpe.vocabulary import Vocabulary
from microgpt_tokenizers.statistics import measure

SMALLEST = 257  # the bytes, and the boundary


@dataclass(frozen=True)
class Size:
    """A vocabulary's size, and what it does to texts that it wasn't learned from."""

    vocab_size: int
    n_tokens: int
    characters_per_token: float
    parameters: int


def measure_sizes(
    texts: Iterable[str],
    held_out: Sequence[str],
    sizes: Sequence[int],
    n_embd: int,
    pattern: str | None = None,
    progress: Progress | None = None,
) -> list[Size]:
    """Each of the sizes that the texts have merges for, the smallest first.

    It is learned once, for the largest: the first merges of a large vocabulary are those of a small one.
    Parameters are those of the embedding and of the head, `n_embd` for each token and each of the two.
    """
    sizes = sorted(set(sizes))
    require(bool(sizes) and sizes[0] >= SMALLEST, "sizes", list(sizes), f"{SMALLEST} or more: bytes and the boundary")
    largest = Bpe(vocab_size=sizes[-1], pattern=pattern).train(texts, progress=progress)
    found: list[Size] = []
    for size in [size for size in sizes if size < largest.vocab_size] + [largest.vocab_size]:
        smaller = Bpe().use(first_merges(largest.vocabulary, size))
        made = measure(smaller, held_out)
        found.append(Size(size, made.n_tokens, made.characters_per_token, 2 * n_embd * size))
    return found


def first_merges(vocabulary: Vocabulary, size: int) -> Vocabulary:
    """A learned vocabulary as it would be with this size: fewer merges, and the same special tokens behind them."""
    n_tokens = size - len(vocabulary.special)
    tokens = {token: i for token, i in vocabulary.tokens.items() if i < n_tokens}
    special = {name: n_tokens + i for i, name in enumerate(vocabulary.special)}
    return Vocabulary(tokens, (vocabulary.merges or [])[: n_tokens - 256], vocabulary.pattern, special)


def knee(sizes: Sequence[Size]) -> Size | None:
    """Where more parameters begin to buy less: the size furthest above the line from the first to the last.

    Both axes are brought to 0 to 1 first (Satopää et al., "Finding a Kneedle in a Haystack", 2011). None where no
    size lies above that line.
    """
    if len(sizes) < 3:
        return None
    first, last = sizes[0], sizes[-1]

    def above(size: Size) -> float:
        paid = (size.parameters - first.parameters) / (last.parameters - first.parameters)
        gained = last.characters_per_token - first.characters_per_token
        return (size.characters_per_token - first.characters_per_token) / gained - paid if gained > 0 else -paid

    best = max(sizes, key=above)
    return best if above(best) > 0 else None
