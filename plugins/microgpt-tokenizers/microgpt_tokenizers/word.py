"""The tokenizer `word`: a word, an id. Easy to read and to explain; rare words are all the same to it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import regex  # type: ignore[import-untyped,unused-ignore]

from microgpt_core.components import Tokenizer
from microgpt_core.errors import CheckpointError, DataError, require
from microgpt_core.text.normal import Form, check_form, normalized
from microgpt_tokenizers.surrogates import without_surrogates

Case = Literal["keep", "lower"]
Punctuation = Literal["split", "keep"]
FORMAT_VERSION = 1
UNKNOWN, SPACE = "\ufffd", " "  # the first is what the unknown word decodes to
# Words go on over apostrophes and joiners: don't, l’été, and scripts that join letters without showing it.
PIECES = {
    "split": regex.compile(r" ?[\p{L}\p{M}\p{N}_]+(?:['’\u200c\u200d][\p{L}\p{M}\p{N}_]+)*| ?[^\s\p{L}\p{M}\p{N}_]|\s"),
    "keep": regex.compile(r" ?\S+|\s"),
}


@dataclass(eq=False)
class Word(Tokenizer):
    """Words, punctuation marks and white space characters; the most frequent have an id each.

    A word or a mark brings the space before it, if there is one, and other white space stands for itself, so that
    tokens one after another are the text again. `bos` is id 0 (unless `add_bos` is false), the unknown word the next,
    then the space; then come the pieces, the most frequent first, equals in the order of their characters. A word
    that is known only without its space is told in two. What is unknown decodes to U+FFFD, white space to a space;
    without `unknown` it is an error.

    Scripts that leave no space between words, Chinese among them, make words of whole sentences: take `bpe` there.

    Fields:
        max_vocab: how many tokens there are at most, bos and unknown included; null: as many as are found
        min_frequency: how often a word has to come in the training texts to be known
        unknown: whether a token stands for every word that isn't known
        case: keep it, or bring texts to lower case
        punctuation: split it from words, or keep what stands between white space whole
        add_bos: whether id 0 stands before and after each document
        normalize: a Unicode form to bring texts to first; null: as they are
    """

    name: ClassVar[str] = "word"
    lossless: ClassVar[bool] = False

    max_vocab: int | None = None
    min_frequency: int = 1
    unknown: bool = True
    case: Case = "keep"
    punctuation: Punctuation = "split"
    add_bos: bool = True
    normalize: Form | None = None

    def __post_init__(self) -> None:
        least = 2 + self.add_bos + self.unknown
        require(self.max_vocab is None or self.max_vocab >= least, "max_vocab", self.max_vocab, f"{least} or more")
        require(self.min_frequency >= 1, "min_frequency", self.min_frequency, "1 or more")
        for field, found, allowed in (("case", self.case, Case), ("punctuation", self.punctuation, Punctuation)):
            require(found in get_args(allowed), field, repr(found), " or ".join(get_args(allowed)))
        check_form(self.normalize)
        self.bos = 0 if self.add_bos else None
        self.unknown_id = int(self.add_bos) if self.unknown else None
        self._learn([])

    def train(self, texts: Iterable[str]) -> Self:
        """Learn the words. Raises DataError where there are none."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(self.pieces(text))
        if not counts:
            raise DataError("word tokenizer: the training texts hold no word; give it at least one non-empty text")
        pieces = counts.keys() - {SPACE, UNKNOWN, SPACE + UNKNOWN}
        frequent = sorted((-counts[piece], piece) for piece in pieces if counts[piece] >= self.min_frequency)
        room = None if self.max_vocab is None else self.max_vocab - (1 + self.add_bos + self.unknown)
        self._learn([piece for _, piece in frequent[:room]])
        if self.unknown:
            self.summary = self._known_of(counts)
        return self

    def pieces(self, text: str) -> Iterator[str]:
        """What a text is cut into, in the case and form that tokens have. Raises DataError for a lone surrogate."""
        text = without_surrogates(normalized(text, self.normalize))
        return PIECES[self.punctuation].findall(text.lower() if self.case == "lower" else text)  # type: ignore[no-any-return]

    def _known_of(self, counts: Counter[str]) -> str:
        """How much of a text of these pieces is unknown."""
        tokens: Counter[int] = Counter()
        for piece, count in counts.items():
            known = self._ids.get(piece)
            for i in self._in_two(piece) if known is None else (known,):
                tokens[i] += count
        unknown, total = tokens[int(self.add_bos)], tokens.total()
        return f"{unknown / total:.2%} of {total:,} tokens are unknown words"

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in self.pieces(text):
            if (known := self._ids.get(piece)) is not None:
                ids.append(known)
            else:
                ids += self._in_two(piece)
        return ids

    def _in_two(self, piece: str) -> list[int]:
        """The space and the word by themselves; what isn't known of them is unknown."""
        if len(piece) > 1 and piece[0] == SPACE:
            return [self._ids[SPACE], self._id(piece[1:])]
        return [self._id(piece)]

    def _id(self, piece: str) -> int:
        if self.unknown and piece.isspace():
            return self._ids.get(piece, self._ids[SPACE])
        if (known := self._ids.get(piece, self.unknown_id)) is None:
            raise DataError(f"unknown word {piece!r:.60}; set `unknown: true`, or train on text that has it")
        return known

    def decode(self, ids: Sequence[int]) -> str:
        if outside := [i for i in ids if not 0 <= i < self.vocab_size]:
            raise DataError(f"id {outside[0]} is outside the vocabulary; allowed: 0 to {self.vocab_size - 1}")
        return "".join([self._pieces[i] for i in ids])

    def to_dict(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in FIELDS}
        return {"use": self.name, "version": FORMAT_VERSION, **fields, "words": list(self._ids)[1:]}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        if (version := state.get("version")) != FORMAT_VERSION:
            raise CheckpointError(f"word tokenizer: format version {version!r}, this microgpt reads {FORMAT_VERSION}")
        words = state.get("words")
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise CheckpointError(f"word tokenizer: `words` is {words!r:.60}, expected a list of texts")
        if len({SPACE, *words}) <= len(words):
            raise CheckpointError("word tokenizer: `words` has one of them twice, or the space, which is always there")
        if wrong := [name for name in ("unknown", "add_bos") if not isinstance(state.get(name), bool)]:
            raise CheckpointError(
                f"word tokenizer: `{wrong[0]}` is {state.get(wrong[0])!r:.60}, expected true or false"
            )
        try:
            tokenizer = cls(**{name: state[name] for name in FIELDS})
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"word tokenizer: a field is missing or of the wrong type ({error})") from None
        tokenizer._learn(words)
        return tokenizer

    def _learn(self, words: Sequence[str]) -> None:
        reserved = [""] * self.add_bos + [UNKNOWN] * self.unknown
        self._pieces = [*reserved, SPACE, *words]  # id -> text
        self._ids = {piece: i for i, piece in enumerate(self._pieces) if i >= len(reserved)}  # text -> id
        self.vocab_size = len(self._pieces)


FIELDS = ("max_vocab", "min_frequency", "unknown", "case", "punctuation", "add_bos", "normalize")
