"""`tokenizer.json`, the format of Hugging Face's `tokenizers`: byte-level BPE both ways, other kinds are refused.

What changes no id (padding, truncation, templates of special tokens) is neither read nor written.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from microgpt_core.errors import DataError
from microgpt_core.storage.atomic import atomic_write
from microgpt_core.text.normal import FORMS, Form
from microgpt_tokenizers.bpe.ranks import every_split
from microgpt_tokenizers.bpe.splitting import PATTERNS
from microgpt_tokenizers.bpe.vocabulary import Merge, Vocabulary
from microgpt_tokenizers.interchange.alphabet import to_bytes, to_text
from microgpt_tokenizers.interchange.json_file import read_object

# The named patterns for a reader whose + is never possessive after {1,3}, and whose $ is the end of any line.
WRITTEN = PATTERNS | {
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s+\z|\s*[\r\n]|\s+(?!\S)|\s"
}
NAMES = {written: name for name, written in (*PATTERNS.items(), *WRITTEN.items())}
# Parts of the model that would change ids, and the values that don't.
PLAIN_MODEL: Mapping[str, tuple[Any, ...]] = {
    "dropout": (None, 0, 0.0), "continuing_subword_prefix": (None, ""), "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False), "unk_token": (None, "<|endoftext|>", "<unk>"),
}  # fmt: skip


def read(path: Path) -> Vocabulary:
    """The vocabulary in a file, one of microgpt's own models included. Raises DataError."""
    document = read_object(path)
    inner = document.get("tokenizer") if document.get("use") == "bpe" else document
    try:
        return from_document(inner)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def write(vocabulary: Vocabulary, path: Path) -> None:
    text = json.dumps(to_document(vocabulary), ensure_ascii=False, indent=1)
    atomic_write(path, (text + "\n").encode("utf-8"))


def to_document(vocabulary: Vocabulary) -> dict[str, Any]:
    """The vocabulary as that file has it."""
    by_id = sorted(vocabulary.tokens.items(), key=lambda entry: entry[1])
    merges = every_split(vocabulary.tokens) if vocabulary.merges is None else vocabulary.merges
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(i, name) for name, i in by_value(vocabulary.special)],
        "normalizer": {"type": vocabulary.normalize} if vocabulary.normalize else None,
        "pre_tokenizer": pre_tokenizer(vocabulary.pattern),
        "post_processor": None,
        "decoder": byte_level(use_regex=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": vocabulary.merges is None,
            "vocab": {to_text(token): i for token, i in by_id},
            "merges": [[to_text(left), to_text(right)] for left, right in merges],
        },
    }


def by_value(ids: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(ids.items(), key=lambda entry: entry[1])


def added_token(i: int, name: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": i, "content": name, **flags}


def byte_level(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def pre_tokenizer(pattern: str) -> dict[str, Any]:
    if pattern == "gpt2":  # which byte_level cuts by itself
        return byte_level(use_regex=True)
    regex = WRITTEN.get(pattern, pattern)
    split = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, byte_level(use_regex=False)]}


def from_document(document: Any) -> Vocabulary:
    """The vocabulary that a file describes. Raises DataError for what isn't byte-level BPE."""
    if not isinstance(document, dict) or not isinstance(model := document.get("model"), dict):
        raise DataError("expected a tokenizer.json, an object with a `model`")
    if (kind := model.get("type", "BPE")) != "BPE":
        raise DataError(f"its model is {kind!r:.60}; only BPE can be read")
    for name, allowed in PLAIN_MODEL.items():
        if (found := model.get(name)) not in allowed:
            raise DataError(f"model.{name} is {found!r:.60}, allowed: {allowed[0]}; only byte-level BPE can be read")
    if not isinstance(vocab := model.get("vocab"), dict):
        raise DataError("model.vocab: expected an object of tokens and their ids")
    special = special_tokens(document.get("added_tokens") or [])
    tokens = {to_bytes(text): i for text, i in vocab.items() if special.get(text) != i}
    merges = [read_merge(merge) for merge in listed("model.merges", model.get("merges"))]
    pattern, form = read_pattern(document.get("pre_tokenizer")), read_form(document.get("normalizer"))
    vocabulary = Vocabulary(tokens, merges, pattern, special, form).checked()
    if not model.get("ignore_merges"):
        return vocabulary
    if merges != every_split(tokens):
        raise DataError("model.ignore_merges is true, and its merges aren't in the order of the ids")
    return replace(vocabulary, merges=None)


def special_tokens(added: Any) -> dict[str, int]:
    special: dict[str, int] = {}
    for token in listed("added_tokens", added):
        if not isinstance(token, dict) or not isinstance(name := token.get("content"), str) or not name:
            raise DataError(f"added_tokens: found {token!r:.60}, expected an object with `content` and `id`")
        if not token.get("special"):
            raise DataError(f"added_tokens: {name!r:.60} isn't special; a token that is cut out of texts can't be read")
        special[name] = token.get("id")  # type: ignore[assignment]  # the vocabulary checks its ids
    return special


def listed(what: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise DataError(f"{what}: found {value!r:.60}, expected a list")
    return value


def read_merge(merge: Any) -> Merge:
    """A merge, `["a", "b"]` or, as older files have it, `"a b"`."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise DataError(f"model.merges: found {merge!r:.60}, expected two tokens")
    return to_bytes(parts[0]), to_bytes(parts[1])


def read_form(normalizer: Any) -> Form | None:
    if isinstance(normalizer, dict) and normalizer.get("type") == "Sequence" and not normalizer.get("normalizers"):
        return None
    if normalizer is None:
        return None
    if isinstance(normalizer, dict) and (form := normalizer.get("type")) in FORMS:
        return form
    raise DataError(f"normalizer: found {normalizer!r:.80}, allowed: null, or one of {', '.join(FORMS)}")


def read_pattern(found: Any) -> str:
    """Where texts are cut: by GPT-2's pattern, or by a regular expression before the bytes."""
    steps = found.get("pretokenizers") if isinstance(found, dict) and found.get("type") == "Sequence" else [found]
    match steps:
        case [{"type": "ByteLevel"} as last] if last.get("use_regex", True) and not last.get("add_prefix_space"):
            return "gpt2"
        case [
            {"type": "Split", "pattern": {"Regex": str(regex)}, "behavior": "Isolated", **more},
            {"type": "ByteLevel", "use_regex": False} as last,
        ] if not more.get("invert") and not last.get("add_prefix_space"):
            return NAMES.get(regex, regex)
    raise DataError(
        f"pre_tokenizer: found {found!r:.120}, allowed: ByteLevel without add_prefix_space, alone or after one "
        "Split by a Regex with the behavior Isolated"
    )
