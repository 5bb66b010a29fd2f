"""What every tokenizer promises: text comes back, ids are in range, a saved one is the same one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from microgpt_core.components import Tokenizer
from microgpt_core.testing.other_process import ask
from microgpt_core.testing.report import Check, checks, place

SCALARS = "".join(map(chr, (*range(0x01, 0xD800, 97), *range(0xE000, 0x110000, 1499))))  # all but the surrogates
TEXTS = {
    "no text": "",
    "words": "The quick brown fox, aged 42, doesn't jump  over\tthe lazy dog.\r\n\n Émile naïvely said: señor!\n",
    "ASCII": "".join(map(chr, range(128))),
    "emoji": "👩‍👩‍👧‍👦 🇫🇷 ❤️ 👋🏽 e\u0301 \u200d \ufeff",
    "scripts": "Привет, 世界! שלום עולם नमस्ते 한국어 ﷽",
    "scalar values": SCALARS,
    "a long text": "abracadabra " * 1500,
}
METHODS = ("train", "encode", "decode", "to_dict", "from_dict")
Tries: TypeAlias = dict[str, Callable[[], object]]  # what is tried, as it is told, and how
STRANGE = ("\U0001f9ff", "\ud800", "ok \udfff", "\x00", "ª")  # not all of these are in the texts


@dataclass(frozen=True)
class Trained:
    """A tokenizer before and after it learned the texts."""

    fresh: Tokenizer
    tokenizer: Tokenizer

    @property
    def saved(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(json.dumps(self.tokenizer.to_dict()))
        return state


def tokenizer_checks(tokenizer: Tokenizer, component: str = "") -> list[Check]:
    """The checks of a tokenizer that nothing has trained yet."""

    def make() -> Trained:
        trained: object = deepcopy(tokenizer).train(TEXTS.values())
        if not isinstance(trained, Tokenizer):
            raise TypeError(f"train returns {trained!r:.60}, expected the tokenizer: return self")
        return Trained(tokenizer, trained)

    label, own = component or f"tokenizer {tokenizer.name}", written_methods(type(tokenizer))
    if missing := [name for name in METHODS if name not in own]:
        return [Check(label, "has_its_methods", lambda: [f"it has no {', no '.join(missing)}"])]
    return checks(label, RULES, make)


def written_methods(cls: type[Tokenizer]) -> set[str]:
    """The names that a class and its bases define before `Tokenizer` leaves them open."""
    mro = cls.__mro__
    return {name for base in mro[: mro.index(Tokenizer)] for name in vars(base)}


def text_comes_back(trained: Trained) -> Iterator[str]:
    """decode(encode(text)) is the text. Of a tokenizer that isn't lossless, it is so from the second time on."""
    for what, text in TEXTS.items():
        found = trained.tokenizer.decode(trained.tokenizer.encode(text))
        if not trained.tokenizer.lossless:
            text, found = found, trained.tokenizer.decode(trained.tokenizer.encode(found))
            what = f"{what}, read and written once,"
        if found != text:
            at = first_difference(found, text)
            yield f"{what} comes back changed: at {at}, {text[at : at + 5]!r} has become {found[at : at + 5]!r}"


def first_difference(a: Sequence[object], b: Sequence[object]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def ids_are_in_range(trained: Trained) -> Iterator[str]:
    """Ids are integers in range(vocab_size), and none of a text's is bos."""
    tokenizer = trained.tokenizer
    for what, text in TEXTS.items():
        ids = tokenizer.encode(text)
        if strange := [i for i in ids if type(i) is not int or not 0 <= i < tokenizer.vocab_size]:
            yield f"{what} has the id {strange[0]!r}; allowed: integers from 0 to {tokenizer.vocab_size - 1}"
        if tokenizer.bos in ids:
            yield f"{what} has bos ({tokenizer.bos}) among its ids, which stands between documents only"


def bos_says_nothing(trained: Trained) -> Iterator[str]:
    """bos, if there is one, is in the vocabulary and decodes to nothing."""
    tokenizer, bos = trained.tokenizer, trained.tokenizer.bos
    if bos is None:
        return
    if not 0 <= bos < tokenizer.vocab_size:
        yield f"bos is {bos}; allowed: 0 to {tokenizer.vocab_size - 1}, or None"
    ids = tokenizer.encode(TEXTS["words"])
    if tokenizer.decode([bos, *ids, bos]) != tokenizer.decode(ids) or tokenizer.decode_bytes(bos):
        yield f"bos ({bos}) decodes to text; it stands for nothing"


def bytes_join_to_the_text(trained: Trained) -> Iterator[str]:
    """The bytes of the ids one by one are the bytes of their text: a stream shows what decode does."""
    tokenizer = trained.tokenizer
    for what, text in TEXTS.items():
        ids = tokenizer.encode(text)
        joined, whole = b"".join(map(tokenizer.decode_bytes, ids)), tokenizer.decode(ids).encode()
        if joined != whole:
            at = first_difference(joined, whole)
            seen = f"at byte {at}, {joined[at : at + 5]!r} is not {whole[at : at + 5]!r}"
            why = "a model writes id by id, and what is written stays: each id has its bytes, decode is these in order"
            yield f"{what}: decode_bytes of its ids, joined, isn't what decode gives: {seen}; {why}"
            return  # the other texts would say it again


def a_saved_one_is_the_same(trained: Trained) -> Iterator[str]:
    """from_dict(to_dict()), through JSON, encodes the same."""
    first, state = trained.tokenizer, trained.saved
    if state.get("use") != first.name:
        yield f"to_dict: `use` is {state.get('use')!r}, by which nobody would find {first.name!r}"
    second = type(first).from_dict(state)
    for field in ("vocab_size", "bos"):
        if getattr(first, field) != getattr(second, field):
            yield f"from_dict(to_dict()) has {field} {getattr(second, field)}, before {getattr(first, field)}"
    for what, text in TEXTS.items():
        if (ids := first.encode(text)) != second.encode(text) or first.decode(ids) != second.decode(ids):
            yield f"from_dict(to_dict()) encodes or decodes {what} in another way"
    if second.to_dict() != first.to_dict():
        yield "from_dict(to_dict()) says something else in its to_dict()"


def same_in_every_process(trained: Trained) -> Iterator[str]:
    """What is learned doesn't depend on the order of sets or on the process."""
    first, second = (ask(learned, trained.fresh, hash_seed=seed) for seed in (1, 2))
    if first != second:
        yield "in two processes it learns two vocabularies: an order of a set or of hash() decides; sort first"


def learned(tokenizer: Tokenizer) -> Any:
    """What `same_in_every_process` compares."""
    tokenizer = tokenizer.train(TEXTS.values())
    return [tokenizer.to_dict(), [tokenizer.encode(text) for text in TEXTS.values()]]


def refuses_by_value_error(trained: Trained) -> Iterator[str]:
    """What can't be encoded, decoded or restored raises ValueError (DataError, CheckpointError), nothing else.

    Some tokenizers can encode everything; none can decode an id that it doesn't have, or be restored from nothing.
    """
    tokenizer, outside = trained.tokenizer, trained.tokenizer.vocab_size
    perhaps: Tries = {f"encode({text!r})": partial(tokenizer.encode, text) for text in STRANGE}
    never: Tries = {
        f"decode([{outside}])": lambda: tokenizer.decode([outside]),
        "decode([-1])": lambda: tokenizer.decode([-1]),
        "from_dict({})": lambda: type(tokenizer).from_dict({}),
    }
    places = set()  # a line that fails is told once
    for what, attempt in (perhaps | never).items():
        try:
            given = attempt()
        except ValueError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever an author's tokenizer raises
            if (where := place(error)) not in places:
                found = f"{type(error).__name__} ({error})"
                yield f"{what} raises {found}, expected DataError or another ValueError {where}"
            places.add(where)
        else:
            if what in never:
                yield f"{what} gives {given!r}, expected DataError or another ValueError"


RULES = (
    text_comes_back,
    ids_are_in_range,
    bos_says_nothing,
    bytes_join_to_the_text,
    a_saved_one_is_the_same,
    same_in_every_process,
    refuses_by_value_error,
)
