"""Model folders and checkpoints with any bytes in them: a CheckpointError or a model, and nothing is ever run."""

import random
from contextlib import suppress
from pathlib import Path
from typing import get_type_hints

import pytest

from microgpt_core.errors import CheckpointError, ConfigurationError
from microgpt_core.inference.language_model import find_in_core
from microgpt_core.models.gpt import GPT
from microgpt_core.saving.model_folder import read_model, write_model
from microgpt_core.text.char import Char

WORDS = [
    b"__import__('os')",
    b"null",
    b"[]",
    b"{}",
    b"-1",
    b"1e999",
    b'"gpt"',
    b'"x"',
    b"true",
    b"99999999",
    b"NaN",
    b"\x00",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    tokenizer = Char().train(["anna"])
    model = GPT(vocab_size=tokenizer.vocab_size, n_embd=4, n_head=1, block_size=4)
    model.allocate()
    write_model(path, model, tokenizer)
    return path


def mutant(data: bytes, rng: random.Random) -> bytes:
    """The bytes with a few of them changed, gone, or replaced by a word."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(made) + 1)
        end = at + rng.choice([0, 1, 1, rng.randint(2, 30)])
        made[at:end] = rng.choice([b"", bytes([rng.randrange(256)]), rng.choice(WORDS)])
    return bytes(made)


@pytest.mark.parametrize("n", [600, pytest.param(50_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_reading_any_bytes(name: str, n: int, folder: Path, watch, monkeypatch: pytest.MonkeyPatch) -> None:
    hints = get_type_hints(GPT)  # which compiles our own annotations
    monkeypatch.setattr("microgpt_core.models.gpt.get_type_hints", lambda cls: hints)
    good = (folder / name).read_bytes()
    read = 0

    def attempt() -> None:
        nonlocal read
        with suppress(CheckpointError, ConfigurationError):
            read_model(folder, find_in_core)
            read += 1

    try:
        for seed in range(n):
            (folder / name).write_bytes(mutant(good, random.Random(seed)))
            events = watch.during(attempt)
            assert set(events) <= {"open", "os.listdir", "os.scandir", "mmap.__new__"}, seed
    finally:
        (folder / name).write_bytes(good)
    assert 0 < read < n  # the control: some mutants are harmless, most are not
