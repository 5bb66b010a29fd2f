"""Between the two ways to say in which order tokens are joined: by the order of their ids, and by a list of merges."""

from collections.abc import Iterable, Iterator, Mapping

from microgpt_core.errors import DataError
from microgpt_tokenizers.bpe.encoding import Encoder
from microgpt_tokenizers.bpe.vocabulary import Merge

PATTERN = "gpt2"  # for an encoder that isn't given texts to cut


def every_split(tokens: Mapping[bytes, int]) -> list[Merge]:
    """All pairs of tokens that are a token when joined, in the order in which ids alone would join them.

    In time that grows with the tokens' bytes and the pairs: a file may hold one token of a megabyte.
    """
    turned = {token[::-1]: token for token in tokens}
    ends = {turned[token]: [turned[end] for end in found] for token, found in beginnings(turned)}
    found = []
    for token, starts in beginnings(tokens):
        rest = {len(token) - len(end): end for end in ends[token]}
        pairs = ((start, rest[len(start)]) for start in starts if len(start) in rest)
        found += [(tokens[token], tokens[left], tokens[right], (left, right)) for left, right in pairs]
    return [merge for *_, merge in sorted(found)]


def beginnings(tokens: Iterable[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Each token with the shorter ones that it begins with. The list is lent until the next."""
    begun: list[bytes] = []
    for token in sorted(filter(None, tokens)):  # what begins with another comes after it, and before what doesn't
        while begun and not token.startswith(begun[-1]):
            begun.pop()
        yield token, begun
        begun.append(token)


def one_merge_each(tokens: Mapping[bytes, int]) -> list[Merge]:
    """The merges, one for each longer token, that do what the order of the ids does.

    A token is made of what lower ids alone make of its bytes, which has to be two tokens. Raises DataError
    where it isn't: such a token comes about only because a whole chunk of the text is it.
    """
    merges: list[Merge] = []
    lower: dict[bytes, int] = {}
    encoder = Encoder(lower, None, PATTERN)
    for token, i in sorted(tokens.items(), key=lambda entry: entry[1]):
        if len(token) == 1:
            continue
        parts = encoder.merged(token)
        if len(parts) != 2:
            said = " + ".join(repr(part) for part in parts[:5])
            raise DataError(f"the token {token!r:.60} (id {i}) isn't made of two others: lower ids make {said:.200}")
        merges.append((parts[0], parts[1]))
        lower[token] = i
    return merges


def by_ids_alone(tokens: Mapping[bytes, int], merges: list[Merge] | None) -> bool:
    """Whether the order of the ids says all that the merges say, so that a file of ranks can hold the vocabulary."""
    if merges is None:
        return True
    try:
        return one_merge_each(tokens) == merges
    except DataError:
        return False
