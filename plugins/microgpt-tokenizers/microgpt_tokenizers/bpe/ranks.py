"""Between the two ways to say in which order tokens are joined: by the order of their ids, and by a list of merges."""

from collections.abc import Iterator, Mapping

from microgpt_core.errors import DataError
from microgpt_tokenizers.bpe.vocabulary import Merge


def every_split(tokens: Mapping[bytes, int]) -> list[Merge]:
    """All pairs of tokens that are a token when joined, in the order in which ids alone would join them."""
    found = [
        (i, tokens[token[:at]], tokens[token[at:]], (token[:at], token[at:]))
        for token, i in tokens.items()
        for at in range(1, len(token))
        if token[:at] in tokens and token[at:] in tokens
    ]
    return [merge for *_, merge in sorted(found)]


def one_merge_each(tokens: Mapping[bytes, int]) -> list[Merge]:
    """The merges, one for each longer token, that do what the order of the ids does.

    A token is made of what lower ids alone make of its bytes, which has to be two tokens. Raises DataError
    where it isn't: such a token comes about only because a whole chunk of the text is it.
    """
    merges: list[Merge] = []
    for token, i in sorted(tokens.items(), key=lambda entry: entry[1]):
        if len(token) == 1:
            continue
        parts = parts_below(token, i, tokens)
        if len(parts) != 2:
            said = " + ".join(repr(part) for part in parts[:5])
            raise DataError(f"the token {token!r:.60} (id {i}) isn't made of two others: lower ids make {said:.200}")
        merges.append((parts[0], parts[1]))
    return merges


def parts_below(token: bytes, limit: int, tokens: Mapping[bytes, int]) -> list[bytes]:
    """What merging by ids below `limit` leaves of a token. It is short, so the whole of it is looked at each time."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while best := min(joins(parts, limit, tokens), default=None):
        _, at = best
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def joins(parts: list[bytes], limit: int, tokens: Mapping[bytes, int]) -> Iterator[tuple[int, int]]:
    """The neighbours that may be joined: the id that they would be, and where they are."""
    for at in range(len(parts) - 1):
        if (i := tokens.get(parts[at] + parts[at + 1])) is not None and i < limit:
            yield i, at


def by_ids_alone(tokens: Mapping[bytes, int], merges: list[Merge] | None) -> bool:
    """Whether the order of the ids says all that the merges say, so that a file of ranks can hold the vocabulary."""
    if merges is None:
        return True
    try:
        return one_merge_each(tokens) == merges
    except DataError:
        return False
