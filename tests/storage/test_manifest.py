"""A saved folder that was damaged later: found, named, and told what to do."""

import json
import random

import pytest

from microgpt_core.errors import CheckpointError
from microgpt_core.storage import atomic_folder, manifest, verify_folder, write_manifest

FILES = {"model.safetensors": bytes(range(40)), "tokenizer.json": b'{"kind": "char"}', "deeper/state.bin": b"\0" * 9}


@pytest.fixture
def folder(tmp_path):
    with atomic_folder(tmp_path / "step-000200") as folder:
        (folder / "deeper").mkdir()
        for name, content in FILES.items():
            (folder / name).write_bytes(content)
    return tmp_path / "step-000200"


def undetected(folder, name, damages):
    """The damages of the file `name` that `verify_folder` doesn't notice, or blames on another file."""
    path, passed = folder / name, []
    content = path.read_bytes()
    for damage in damages(content):
        path.write_bytes(damage)
        try:
            verify_folder(folder)
            passed.append(damage)
        except CheckpointError as error:
            if name != "manifest.json" and name not in str(error):
                passed.append(damage)
    path.write_bytes(content)
    verify_folder(folder)
    return passed


def flips(content):
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)


def lengths(content):
    yield from (content[:length] for length in range(len(content)))
    yield content + b"\0"


@pytest.mark.parametrize("damages", [flips, lengths])
@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_every_damage_is_found_and_named(name, damages, folder):
    assert undetected(folder, name, damages) == []


@pytest.mark.parametrize(
    ("function", "planted"),
    [
        ("_compare", lambda name, found, expected: None),
        ("_measure", lambda path: {"size": path.stat().st_size}),
    ],
)
def test_the_check_catches_planted_bugs(function, planted, folder, monkeypatch):
    monkeypatch.setattr(manifest, function, planted)
    assert undetected(folder, "model.safetensors", flips)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_named(name, folder):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing.*Use an earlier checkpoint"):
        verify_folder(folder)


def test_the_message_has_place_found_expected_and_advice(folder):
    (folder / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(CheckpointError) as caught:
        verify_folder(folder)
    message = str(caught.value)
    assert message == f"{folder}: tokenizer.json is damaged: size 2, expected 16. " + message.partition("16. ")[2]
    assert "Use an earlier checkpoint" in message


def test_the_manifest_is_exact_and_again_the_same(folder):
    before = (folder / "manifest.json").read_bytes()
    table = json.loads(before)
    assert table["version"] == 1
    assert {name: entry["size"] for name, entry in table["files"].items()} == {n: len(c) for n, c in FILES.items()}
    write_manifest(folder)
    assert (folder / "manifest.json").read_bytes() == before


def test_files_of_the_desktop_do_no_harm(folder):
    (folder / ".DS_Store").write_bytes(b"x")
    verify_folder(folder)
    lost = next(iter(FILES))
    (folder / lost).unlink()
    with pytest.raises(CheckpointError, match=lost):  # what is listed is still looked at
        verify_folder(folder)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "begins with b''"),
        (b"[]", "begins with"),
        (b"{", "manifest.json is damaged"),
        (b'{"files": {}}', "version None, expected 1"),
        (b'{"version": 2, "files": {}}', "version 2, expected 1"),
        (b'{"version": 1}', "no table of files"),
        (b'{"version": 1, "files": []}', "no table of files"),
        (b'{"version": 1, "version": 1, "files": {}}', "twice"),
        (b'{"version": 1, "files": {"tokenizer.json": [16]}}', "tokenizer.json is damaged"),
        (b'{"version": 1, "files": {"../step-000200/tokenizer.json": {"size": 16}}}', "is missing"),
        (b'{"version": 1, "files": {"/etc/hostname": {}}}', "is missing"),
        (b'{"version": 1.0, "files": {}}', "the number 1.0"),
        (b'{"a": ' + b"[" * 200_000, "nested too deeply"),
        (b'{"a": "\xff"}', "utf-8"),
    ],
)
def test_a_hostile_manifest(text, complaint, folder):
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(CheckpointError, match=complaint):
        verify_folder(folder)


def test_a_huge_manifest_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(manifest, "MANIFEST_LIMIT", 100)
    with pytest.raises(CheckpointError, match="expected at most 100"):
        verify_folder(folder)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="manifest.json is missing"):
        verify_folder(tmp_path / "gone")


def test_a_file_that_cannot_be_read(folder, monkeypatch):
    def broken(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(manifest, "_measure", broken)
    with pytest.raises(CheckpointError, match="Input/output error"):
        verify_folder(folder)


@pytest.mark.long
@pytest.mark.parametrize("name", ["model.bin"])
def test_sampled_damages_of_a_large_file(name, tmp_path):
    """10,000 flipped bits and 1,000 lengths of a megabyte."""
    chance = random.Random(1)

    def samples(content):
        for _ in range(10_000):
            damaged = bytearray(content)
            damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            yield bytes(damaged)
        yield from (content[: chance.randrange(len(content))] for _ in range(1000))

    with atomic_folder(tmp_path / "folder") as folder:
        (folder / name).write_bytes(chance.randbytes(1_000_000))
    assert undetected(tmp_path / "folder", name, samples) == []
