"""The tokenizer `bpe`: pieces of words that come often, learned from your text or read from a ready vocabulary."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

from microgpt_core.components import Tokenizer
from microgpt_core.errors import CheckpointError, ConfigurationError, DataError, UnknownNameError, require
from microgpt_core.text.normal import Form, check_form, normalized
from microgpt_tokenizers.bpe import choice
from microgpt_tokenizers.bpe.splitting import Splitter
from microgpt_tokenizers.bpe.training import Progress
from microgpt_tokenizers.bpe.vocabulary import Vocabulary, learned
from microgpt_tokenizers.interchange import tokenizer_json
from microgpt_tokenizers.interchange.files import read_vocabulary
from microgpt_tokenizers.special import check_names, cut
from microgpt_tokenizers.surrogates import without_surrogates

FORMAT_VERSION = 1
N_BYTES = 256
DEFAULT_PATTERN = "gpt2"


@dataclass(eq=False)
class Bpe(Tokenizer):
    """Byte-level BPE: pieces of words that come often, down to single bytes, so that it can say every text.

    Ids 0 to 255 are the bytes, then what each merge makes, in order, then the special tokens. A ready vocabulary has
    its own ids.

    Special tokens decode to nothing. Their names in a text are plain text, but for those in `allow_special`.
    Bytes that are no UTF-8, as a model may write them, decode to U+FFFD.

    Fields:
        vocab_size: how many tokens to learn, bytes and special tokens included; a ready vocabulary has its own
        pattern: where a text is cut before merging: gpt2, cl100k, o200k, or a regular expression; null: as `file`
            says, else gpt2
        min_frequency: how often a pair has to come to be merged
        boundary: the special token that stands before and after each document; null: none
        special: further special tokens
        allow_special: those whose name in a text means the token
        normalize: a Unicode form to bring texts to first; null: as `file` says, else as they are
        file: a ready vocabulary instead of learning one: a tokenizer.json, a folder with vocab.json and merges.txt, or
            a .tiktoken file
    """

    name: ClassVar[str] = "bpe"

    vocab_size: int = 1024
    pattern: str | None = None
    min_frequency: int = 2
    boundary: str | None = "<|endoftext|>"
    special: list[str] = field(default_factory=list)
    allow_special: list[str] = field(default_factory=list)
    normalize: Form | None = None
    file: str | None = None
    # The folder that a relative `file` starts from, None for the current one: set by a pipeline, as a dataset's is.
    base: Path | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        names = self._special_names()
        check_names("special", self.special)
        require(self.boundary != "", "boundary", "nothing", "a name such as <|endoftext|>, or null")
        check_names("allow_special", self.allow_special)
        if unknown := [name for name in self.allow_special if name not in names and not self.file]:
            raise UnknownNameError("special token", unknown[0], names, "Name it in `special` too")
        if self.boundary in self.allow_special:
            raise ConfigurationError(f"allow_special: {self.boundary!r} is the boundary, which no text may contain")
        least = N_BYTES + len(names)
        require(self.vocab_size >= least, "vocab_size", self.vocab_size, f"{least} or more: 256 bytes, special tokens")
        require(self.min_frequency >= 1, "min_frequency", self.min_frequency, "1 or more")
        require(self.file != "", "file", "nothing", "a file's name, or null")
        check_form(self.normalize)
        Splitter(self.pattern or DEFAULT_PATTERN)  # raises where the pattern is none
        self._vocabulary: Vocabulary | None = None
        self._pieces: list[bytes] = []  # id -> bytes
        self._merges_wanted = self.vocab_size - least

    @property
    def vocabulary(self) -> Vocabulary:
        """What was learned or read. Raises DataError where neither has happened."""
        if self._vocabulary is None:
            raise DataError("bpe tokenizer: it has no vocabulary yet; call train(texts) first")
        return self._vocabulary

    def train(self, texts: Iterable[str], *, progress: Progress | None = None) -> Self:
        """Learn merges, or read `file`, which needs no texts. `progress` is that of `train_merges`."""
        if self.file is not None:
            return self.use(read_vocabulary((self.base or Path()) / Path(self.file).expanduser(), self.pattern))
        pattern = self.pattern or DEFAULT_PATTERN
        merges = choice.trainer()(
            map(partial(prepared, form=self.normalize), texts), self._merges_wanted, pattern=pattern,
            min_frequency=self.min_frequency, progress=progress,
        )  # fmt: skip
        return self.use(learned(merges, self._special_names(), pattern, self.normalize))

    def use(self, vocabulary: Vocabulary) -> Self:
        """Take a ready vocabulary; `special` tokens that it lacks are added behind it. Raises DataError."""
        vocabulary = vocabulary.with_special(self.special)
        special = vocabulary.special
        if missing := [name for name in filter(None, [self.boundary, *self.allow_special]) if name not in special]:
            raise DataError(
                f"bpe tokenizer: the vocabulary has no special token {missing[0]!r}; it has: "
                f"{', '.join(special) or 'none'}. Set `boundary` to one of them or to null, or name it in `special` too"
            )
        vocabulary = replace(vocabulary, normalize=self.normalize or vocabulary.normalize).checked()
        self._encoder = choice.encoder(vocabulary)
        self._vocabulary, self.vocab_size = vocabulary, vocabulary.size
        self._pieces = [b""] * vocabulary.size
        for token, i in vocabulary.tokens.items():
            self._pieces[i] = token
        self.bos = None if self.boundary is None else special[self.boundary]
        return self

    def encode(self, text: str, *, allow_special: Collection[str] = ()) -> list[int]:
        """The ids of a text. `allow_special` names further special tokens to obey, perhaps the boundary too."""
        vocabulary = self.vocabulary
        text = prepared(text, vocabulary.normalize)
        allowed = {*self.allow_special, *allow_special}
        if not allowed:
            return self._encoder.encode(text)
        if unknown := allowed - vocabulary.special.keys():
            raise UnknownNameError("special token", min(unknown), vocabulary.special)
        ids: list[int] = []
        for piece, is_special in cut(text, allowed):
            ids += [vocabulary.special[piece]] if is_special else self._encoder.encode(piece)
        return ids

    def encode_batch(self, texts: Sequence[str], threads: int = 1) -> list[list[int]]:
        """The ids of many texts, by several threads where the compiled encoder is there."""
        if self.allow_special:
            return [self.encode(text) for text in texts]
        form = self.vocabulary.normalize
        return self._encoder.encode_batch([prepared(text, form) for text in texts], threads)

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(map(self.decode_bytes, ids)).decode("utf-8", "replace")

    def decode_bytes(self, token: int) -> bytes:
        """The bytes of an id; none of a special token, or of a gap between the ids of a ready vocabulary."""
        if not 0 <= token < len(self._pieces):
            raise DataError(f"id {token} is outside the vocabulary; allowed: 0 to {self.vocabulary.size - 1}")
        return self._pieces[token]

    def to_dict(self) -> dict[str, Any]:
        return {
            "use": self.name,
            "version": FORMAT_VERSION,
            "boundary": self.boundary,
            "allow_special": self.allow_special,
            "tokenizer": tokenizer_json.to_document(self.vocabulary),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        if (version := state.get("version")) != FORMAT_VERSION:
            raise CheckpointError(f"bpe tokenizer: format version {version!r}, this microgpt reads {FORMAT_VERSION}")
        boundary, allowed = state.get("boundary"), state.get("allow_special")
        if not (boundary is None or isinstance(boundary, str)) or not isinstance(allowed, list):
            raise CheckpointError("bpe tokenizer: needs `boundary`, a text or null, and `allow_special`, a list")
        try:
            vocabulary = tokenizer_json.from_document(state.get("tokenizer"))
            special = [name for name in vocabulary.special if name != boundary]
            tokenizer = cls(boundary=boundary, special=special, allow_special=allowed, vocab_size=vocabulary.size)
            return tokenizer.use(vocabulary)
        except (ConfigurationError, DataError) as error:
            raise CheckpointError(f"bpe tokenizer: {error}") from None

    def _special_names(self) -> list[str]:
        return list(dict.fromkeys([*([] if self.boundary is None else [self.boundary]), *self.special]))


def prepared(text: str, form: Form | None) -> str:
    """A text as it is cut and merged. Raises DataError for a lone surrogate."""
    return without_surrogates(normalized(text, form))
