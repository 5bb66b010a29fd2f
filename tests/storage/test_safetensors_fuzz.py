"""Damaged and hostile files by the thousand: we never accept what the official library refuses, nor run anything."""

import json
import pickle
import random
from contextlib import suppress

import pytest

from microgpt_core.errors import CheckpointError
from microgpt_core.storage import SafeTensors, safetensors, strict_json

DTYPES = {"F32": 4, "F64": 8, "I32": 4, "BF16": 2, "U8": 1}
ODD_NUMBERS = [b"-0", b"-1", b"0", b"1", b"1.0", b"1e0", b"4", b"00", b"true", b"null", b"NaN", b"18446744073709551616",
               b"9223372036854775807", b'"4"', b"[]", b"9" * 4400]  # fmt: skip
ODD_TEXT = [b'"', b"\\", b"\\ud800", b"\\udc00", b"\\u0000", b"\\ud83d\\ude00", b"\0", b"\xff", b" ", b"\n", b"\x0b",
            b"{", b"}", b"[", b"]", b",", b":", b"[" * 300, b"F16", b"I64", b"BOOL", b"/**/",
            b"\xef\xbb\xbf"]  # fmt: skip


def sample(chance):
    """A valid file, as (header bytes, body bytes)."""
    entries, position = {}, 0
    if chance.random() < 0.5:
        entries["__metadata__"] = {"format": "pt", "näme": "1"}
    for name in chance.sample(["a", "b", "wte.weight", "é"], chance.randrange(4)):
        dtype = chance.choice(list(DTYPES))
        shape = [chance.randint(1, 3) for _ in range(chance.randrange(4))]
        size = DTYPES[dtype]
        for axis in shape:
            size *= axis
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position := position + size]}
    return entries, chance.randbytes(position)


ODD_METADATA = [{}, None, [], {"a": 1}, {"a": None}, {"a": "b"}, {"a": ["b"]}, "pt"]


def bend_meaning(chance, entry):
    """Changes what the header says of one tensor; it stays good JSON."""
    match chance.randrange(8):
        case 0:
            entry["dtype"] = chance.choice([*DTYPES, "F16", "f32", "F4", "", None, 7, ["F32"]])
        case 1:
            entry["shape"].insert(0, chance.choice([0, 1, 2, -1, True, 1.0, None, "1", 2**63, 2**64, [1]]))
        case 2 if entry["shape"]:
            entry["shape"][0] += chance.choice([-3, -1, 1, 2**32, 2**62])
        case 3:
            entry["data_offsets"][chance.randrange(2)] += chance.choice([-8, -4, -1, 1, 4, 8, 2**64])
        case 4:
            shift = chance.choice([-4, -1, 1, 4])
            entry["data_offsets"] = [offset + shift for offset in entry["data_offsets"]]
        case 5:
            entry["data_offsets"] = chance.choice([[], [0], [0, 0], [0, 4, 8], None, "04", {"0": 4}, [False, 4]])
        case 6:
            entry.pop(chance.choice(list(entry)))
        case _:
            entry[chance.choice(["strides", "dtype "])] = 1


def bend_text(chance, text):
    """Changes the header's characters."""
    at = chance.randrange(len(text) + 1)
    match chance.randrange(6):
        case 0:  # instead of a number
            starts = [i for i in range(1, len(text)) if text[i : i + 1].isdigit() and not text[i - 1 : i].isdigit()]
            at = chance.choice(starts or [at])
            end = at
            while text[end : end + 1].isdigit():
                end += 1
            return text[:at] + chance.choice(ODD_NUMBERS) + text[end:]
        case 1:
            return text[:at] + chance.choice(ODD_TEXT) + text[at:]
        case 2:
            return text[:at] + text[at + chance.randint(1, 4) :]
        case 3:
            return text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]
        case 4:  # a piece twice: also gives keys that come twice
            end = chance.randrange(at, len(text) + 1)
            return text[:end] + chance.choice([b"", b","]) + text[at:end] + text[end:]
        case _:
            return chance.choice([b" ", b"\n", b"\0", b""]) + text + chance.choice([b" ", b"\0", b"x", b"\n\t\r "])


def mutant(chance):
    entries, body = sample(chance)
    tensors = [entry for name, entry in entries.items() if name != "__metadata__"]
    for entry in chance.sample(tensors, min(len(tensors), chance.choice([0, 0, 1, 1, 1, 2]))):
        bend_meaning(chance, entry)
    if chance.random() < 0.05:
        entries["__metadata__"] = chance.choice(ODD_METADATA)
    text = json.dumps(entries, ensure_ascii=chance.random() < 0.5).encode()
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        text = bend_text(chance, text)
    size = len(text)
    if chance.random() < 0.15:
        size = chance.choice([size + chance.randint(-9, 9), chance.randrange(2**64), 2**64 - 1, 0, 100_000_001])
    data = (size % 2**64).to_bytes(8, "little") + text + body
    if chance.random() < 0.15:
        data = chance.choice([data[: chance.randrange(len(data) + 1)], data + b"\0", data[:-1]])
    return data


def disagreement(official, data):
    """What is wrong with how we read `data`: None where we refuse it, or read what the official library reads."""
    try:
        tensors = SafeTensors("mutant", memoryview(data))
    except CheckpointError:
        return None
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        return f"raised {error!r} for {data!r}; expected CheckpointError"
    found = {name: (safetensors.DTYPES[x.format], list(x.shape), bytes(x)) for name, x in tensors.items()}
    try:
        expected = official.deserialize(data)
    except official.SafetensorError as error:
        return f"accepted {data!r}, which the official library refuses: {error}"
    if found != {name: (tensor["dtype"], tensor["shape"], bytes(tensor["data"])) for name, tensor in expected}:
        return f"read {found} in {data!r}; the official library reads {expected}"
    return "" if tensors else None


def hunt(seed, count):
    """The first disagreement in `count` mutants, else None; and how many were accepted by both."""
    official = pytest.importorskip("safetensors")
    chance, agreed = random.Random(seed), 0
    for _ in range(count):
        complaint = disagreement(official, mutant(chance))
        if complaint:
            return complaint, agreed
        agreed += complaint is not None
    return None, agreed


def test_we_never_accept_what_the_official_library_refuses():
    complaint, agreed = hunt(1, 20_000)
    assert complaint is None
    assert agreed > 500  # a reader that refuses everything proves nothing


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_ten_million_mutants(seed):
    assert hunt(seed, 1_000_000)[0] is None


LAX = {
    "holes, overlaps, trailing bytes": (safetensors, "_check_layout", lambda entries, size: None),
    "zeros after the header": (safetensors, "parse_object", lambda text: strict_json.parse_object(text.rstrip(b"\0"))),
    "sizes that aren't the shape's": (safetensors, "prod", lambda shape: 1),
    "true as a number": (safetensors, "_are_counts", lambda value: isinstance(value, list)),
    "minus zero": (strict_json, "_count", int),
    "half surrogate pairs": (strict_json, "_object", dict),
}


@pytest.mark.parametrize(("module", "name", "planted"), LAX.values(), ids=LAX)
def test_the_hunt_catches_a_missing_check(module, name, planted, monkeypatch):
    monkeypatch.setattr(module, name, planted)
    assert hunt(3, 20_000)[0]


@pytest.mark.parametrize("n", [3000, pytest.param(100_000, marks=pytest.mark.long)])
def test_reading_runs_nothing(n, watch):
    mutants = (mutant(random.Random(seed)) for seed in range(n))

    def read_all():
        for data in mutants:
            with suppress(CheckpointError):
                SafeTensors("mutant", memoryview(data))

    assert watch.during(read_all) == []


@pytest.mark.parametrize(
    "action",
    [lambda: eval("1"), lambda: pickle.loads(pickle.dumps(random.Random)), lambda: __import__("microgpt_core.absent")],
)
def test_the_watch_catches_what_runs(watch, action):
    def attempt():
        with suppress(ImportError):
            action()

    assert watch.during(attempt)
