"""Shards: the same ids as the text gives, whole or not at all, found again, gone on with, and read in little memory."""

import json
import os
import re
import subprocess
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import microgpt_core as mg
from microgpt_core.cli.main import main
from microgpt_core.errors import ConfigurationError, DataError, DoesNotFitError
from microgpt_core.pipeline.check import check
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.testing import check_dataset
from microgpt_core.text.char import Char
from microgpt_datasets.commands import prepare as prepare_command
from microgpt_datasets.preparing import encoding
from microgpt_datasets.preparing.prepare import prepare
from microgpt_datasets.preparing.writing import Writer
from microgpt_datasets.shards import MappedIds, Shards, verify

TEXT = "\n".join(f"the line of number {i} is {i * i}" for i in range(2000))


@pytest.fixture
def run(put: Any) -> Run:
    put("t.txt", TEXT)
    return check(put("mine.yaml", "dataset: {use: files, path: t.txt, document: line}\n"))


@pytest.fixture
def many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were far more text: a piece is a few documents, a shard a few pieces."""
    monkeypatch.setattr(encoding, "CHARACTERS", 1000)


def ids_of(run: Run, split: str) -> list[int]:
    """What a run without shards would join."""
    tokenizer, found = run.tokenizer, [0]
    for text in run.documents[split]:
        found += [*tokenizer.encode(text), 0]
    return found


@pytest.mark.usefixtures("many_pieces")
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_ids_are_those_of_the_text_in_its_order(processes: int, run: Run, tmp_path: Path) -> None:
    made = prepare(run, tmp_path / "sh", processes=processes, shard_tokens=2000)
    shards = Shards(str(made.folder))
    for split in ("train", "validation"):
        assert list(shards.tokens(split)[:]) == ids_of(run, split)
    assert len(made.index["splits"]["train"]["shards"]) > 10
    assert sorted(file.name for file in made.folder.glob("*.json")) == ["shards.json", "tokenizer.json"]
    report = check_dataset(shards)
    assert report, str(report)


@dataclass(eq=False)
class Ending(Char):
    """A tokenizer whose process is ended from outside."""

    name = "ending"

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "Ending":
        os._exit(9)


def test_a_tokenizer_that_others_cant_import_encodes_here() -> None:
    tokenizer = type("Local", (Char,), {"__module__": "a_file_that_was_named"})().train(["abc"])
    (piece,) = encoding.encoded(tokenizer, "H", ["ab"], 0, 4)
    assert array("H", piece.ids).tolist() == [1, 2, 0]


@pytest.mark.slow
def test_a_process_that_is_ended_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    tokenizer = Ending().train(["abc"])
    monkeypatch.setattr(type(tokenizer), "__module__", "test_shards")
    with pytest.raises(DoesNotFitError, match="ended from outside; perhaps memory was short"):
        list(encoding.encoded(tokenizer, "H", ["ab"], 0, 2))


def test_a_slice_reaches_over_several_files(tmp_path: Path) -> None:
    numbers = list(range(70_000, 70_500))
    files, counts = [], [120, 1, 200, 179]
    for i, n in enumerate(counts):
        files.append(tmp_path / f"{i}.bin")
        start = sum(counts[:i])
        files[-1].write_bytes(b"".join(n.to_bytes(4, "little") for n in numbers[start : start + n]))
    ids = MappedIds(files, counts, 4)
    assert len(ids) == 500
    for start in range(0, 500, 13):
        for width in (0, 1, 2, 100, 600):
            assert list(ids[start : start + width]) == numbers[start : start + width]
    assert [ids[0], ids[119], ids[120], ids[121], ids[-1]] == [numbers[i] for i in (0, 119, 120, 121, -1)]
    assert list(ids[10:400:7]) == numbers[10:400:7]
    assert list(ids[-5:]) == numbers[-5:]
    with pytest.raises(IndexError):
        ids[500]


def test_a_pipeline_takes_the_shards_with_their_tokenizer(run: Run, put: Any, tmp_path: Path) -> None:
    prepare(run, tmp_path / "sh")
    file = put("sharded.yaml", "dataset: {use: shards, path: sh}\nmodel: {n_embd: 8}\ntrain: {max_steps: 3}\n")
    plain = put("plain.yaml", "dataset: {use: files, path: t.txt, document: line}\nmodel: {n_embd: 8}\n"
                "train: {max_steps: 3, batching: random_window}\n")  # fmt: skip
    sharded, text = mg.run(file, output=tmp_path / "a"), mg.run(plain, output=tmp_path / "b")
    assert sharded.evaluation["loss"] == pytest.approx(text.evaluation["loss"], abs=0.2)
    assert array("i", sharded.batches.batch(1).tokens) == text.batches.batch(1).tokens  # the same windows
    assert sharded.tokenizer.to_dict() == text.tokenizer.to_dict()
    assert json.loads((tmp_path / "a" / "environment.json").read_text("utf-8"))["data"] == sharded.dataset.digest()


def test_what_is_there_is_not_made_again(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: Any) -> None:
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path / "cache"))
    first = prepare(run)
    assert first.folder.parent == tmp_path / "cache" / "shards"
    assert prepare(run).was_there
    put("t.txt", TEXT + "!")
    changed = prepare(check(tmp_path / "mine.yaml"))
    assert not changed.was_there
    assert changed.folder != first.folder


def test_a_text_that_has_changed_replaces_the_shards_in_a_folder_that_is_named(
    run: Run, tmp_path: Path, put: Any
) -> None:
    before = prepare(run, tmp_path / "sh", shard_tokens=1024).index
    put("t.txt", TEXT[: len(TEXT) // 4])
    after = prepare(check(tmp_path / "mine.yaml"), tmp_path / "sh", shard_tokens=1024)
    assert not after.was_there
    assert after.index["digest"] != before["digest"]
    named = {each["file"] for split in after.index["splits"].values() for each in split["shards"]}
    assert named == {file.name for file in (tmp_path / "sh").glob("*.bin")}


@pytest.mark.usefixtures("many_pieces")
@pytest.mark.parametrize("after", [0, 1, 5])
def test_what_was_stopped_is_gone_on_with(
    after: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, folder, written = prepare(run, tmp_path / "whole", shard_tokens=2000), tmp_path / "sh", list[str]()
    flush = Writer.flush

    def stopped(writer: Any, split: Any) -> None:
        if len(written) >= after:
            raise KeyboardInterrupt
        written.append(split.name)
        flush(writer, split)

    monkeypatch.setattr(Writer, "flush", stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare(run, folder, shard_tokens=2000)
    with pytest.raises(DataError, match="begun and not finished: the same microgpt data prepare goes on"):
        Shards(str(folder)).tokens("train")  # half of them never look whole
    monkeypatch.setattr(Writer, "flush", lambda writer, split: (written.append("again"), flush(writer, split))[1])
    made = prepare(run, folder, shard_tokens=2000)
    assert made.index == whole.index
    for name in sorted(file.name for file in whole.folder.glob("*.bin")):
        assert (folder / name).read_bytes() == (whole.folder / name).read_bytes()
    n_shards = sum(len(split["shards"]) for split in whole.index["splits"].values())
    assert written.count("again") <= n_shards - after + 2  # those that were there weren't made again


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "train-00000.bin").unlink(), "train-00000.bin isn't there; prepare them again"),
        (lambda folder: (folder / "train-00000.bin").write_bytes(b"abc"), "has 3 bytes instead of"),
        (
            lambda folder: (folder / "shards.json").write_text('{"format": 9, "width": 2}'),
            "format 9, this version reads 1",
        ),
        (lambda folder: (folder / "shards.json").write_bytes(b"\xff"), "it is damaged"),
        (lambda folder: replace(folder, '"train-00000.bin"', '"../mine.yaml"'), "is no file of this folder"),
        (lambda folder: replace(folder, '"vocab_size": ', '"vocab_size": "many", "was": '), "it is damaged .TypeError"),
    ],
)
def test_damaged_shards_are_refused_and_can_be_made_again(damage: Any, message: str, run: Run, tmp_path: Path) -> None:
    whole = prepare(run, tmp_path / "sh").index
    damage(tmp_path / "sh")
    with pytest.raises(DataError, match=message):
        Shards(str(tmp_path / "sh")).tokens("train")
    assert prepare(run, tmp_path / "sh").index == whole  # as the message says
    assert list(Shards(str(tmp_path / "sh")).tokens("train")[:]) == ids_of(run, "train")


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.usefixtures("many_pieces")
def test_a_flipped_bit_is_found_by_who_asks_and_the_shards_can_be_made_again(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "sh"
    whole = prepare(run, folder, shard_tokens=2000).index
    assert verify(folder) == whole
    code, said = command("stats", str(folder), "--verify")
    assert (code, f"{folder}: what was written, to the bit (" in said) == (0, True)
    flip(folder / "train-00003.bin")
    Shards(str(folder)).tokens("train")  # opening them reads no byte of them
    code, said = command("stats", str(folder), "--verify")
    assert code == 2
    assert f"{folder / 'train-00003.bin'}: isn't what was written (SHA-256), of " in said
    assert "shards 1; prepare them again: microgpt data prepare" in said
    made = prepare(run, folder, shard_tokens=2000)  # as it says
    assert (made.was_there, made.index, verify(folder)) == (False, whole, whole)


def test_an_id_that_no_token_has_is_told_with_its_file_where_it_is_read(run: Run, put: Any, tmp_path: Path) -> None:
    prepare(run, tmp_path / "sh")
    file = put("sharded.yaml", "dataset: {use: shards, path: sh}\nmodel: {n_embd: 8}\ntrain: {max_steps: 3}\n")
    shard = tmp_path / "sh" / "train-00000.bin"
    shard.write_bytes(b"\xff" * shard.stat().st_size)
    said = f"{re.escape(str(shard))}: holds the id 65,535, allowed: 0 to \\d+; it is damaged, prepare them again"
    with pytest.raises(DataError, match=said):
        mg.run(file, output=tmp_path / "run")
    assert not prepare(run, tmp_path / "sh").was_there  # as it says
    mg.run(file, output=tmp_path / "run")


@pytest.mark.usefixtures("many_pieces")
def test_a_flipped_bit_in_what_was_begun_is_not_gone_on_with(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, folder = Writer.flush, tmp_path / "sh"

    def stopped(writer: Any, split: Any) -> None:
        if split.done["shards"]:
            raise KeyboardInterrupt
        flush(writer, split)

    monkeypatch.setattr(Writer, "flush", stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare(run, folder, shard_tokens=2000)
    monkeypatch.setattr(Writer, "flush", flush)
    flip(folder / "train-00000.bin")
    assert verify(prepare(run, folder, shard_tokens=2000).folder)


def test_only_shards_are_verified(put: Any, run: Run, tmp_path: Path) -> None:
    prepare(run, tmp_path / "sh")
    code, said = command("stats", str(put("t.txt", TEXT)), "--verify")
    assert (code, "--verify: this is text; shards are what can be compared" in said) == (2, True)
    code, said = command("stats", str(tmp_path / "sh"), str(tmp_path / "t.txt"))
    assert (code, "name one folder of shards alone" in said) == (2, True)


def test_files_in_another_encoding_are_named_with_it(put: Any, tmp_path: Path) -> None:
    path = str(put("t.txt", TEXT.replace("line", "ligné").encode("latin-1")))
    code, said = command("stats", path)
    assert (code, "0xE9 isn't utf-8 text; set `encoding`" in said) == (2, True)
    code, said = command("stats", path, "--encoding", "latin-1", "--json")
    assert (code, json.loads(said)["splits"]["train"]["bytes"] > len(TEXT) * 0.8) == (0, True)
    assert command("prepare", path, "--encoding", "latin-1", "-o", str(tmp_path / "sh"))[0] == 0
    code, said = command("stats", "names", "--encoding", "latin-1")
    assert (code, "name it alone, without --document and --encoding" in said) == (2, True)


def replace(folder: Path, old: str, new: str) -> None:
    index = folder / "shards.json"
    index.write_text(index.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_a_folder_with_something_else_in_it_is_left_alone(run: Run, put: Any, tmp_path: Path) -> None:
    put("sh/thesis.doc", "a")
    with pytest.raises(ConfigurationError, match=r"there is something else in it \(thesis.doc\)"):
        prepare(run, tmp_path / "sh")
    vocabulary = put("mine/tokenizer.json", "{}")
    with pytest.raises(ConfigurationError, match=r"there is something else in it \(tokenizer.json\)"):
        prepare(run, vocabulary.parent)
    assert vocabulary.read_bytes() == b"{}"


def test_shards_cant_be_mixed(run: Run, tmp_path: Path) -> None:
    prepare(run, tmp_path / "sh")
    with pytest.raises(DataError, match="it is numbers already, which can't be mixed, streamed or transformed"):
        check(
            "names", {"dataset": {"use": "mix", "datasets": ["names", {"use": "shards", "path": str(tmp_path / "sh")}]}}
        )


# ---- the commands


def command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["data", *arguments])
    return result.exit_code, result.output


def test_prepare_files_from_the_command_line(put: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put("a.txt", TEXT)
    code, said = command("prepare", "a.txt", "--document", "line", "-o", "sh", "--processes", "1")
    assert (code, said.splitlines()[-1]) == (0, "dataset: {use: shards, path: sh}")
    assert "prepared: " in said
    code, said = command("prepare", "a.txt", "--document", "line", "-o", "sh", "--processes", "1", "--json")
    found = json.loads(said[said.index("{") :])
    assert (code, found["was_there"]) == (0, True)
    code, said = command("prepare", "a.txt", "b.jsonl")
    assert code == 2
    assert "are of several kinds" in said
    code, said = command("prepare", "names", "--document", "line")
    assert code == 2
    assert "names is a pipeline" in said
    put("s.yaml", "dataset: {use: shards, path: sh}\n")
    code, said = command("prepare", "s.yaml")
    assert code == 2
    assert "is numbers already" in said


@pytest.mark.usefixtures("many_pieces")
def test_where_there_is_no_terminal_a_line_now_and_then_says_how_far_it_is(
    put: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prepare_command, "LINE_EVERY", 0.0)
    put("a.txt", TEXT)
    said = command("prepare", "a.txt", "--document", "line", "-o", "sh", "--processes", "1")[1]
    told = [int(done.replace(",", "")) for done in re.findall(r"train: ([\d,]+) of 1,800 documents", said)]
    assert told == sorted(set(told))
    assert len(told) > 10
    assert told[-1] == 1800


def test_stats_count_what_comes_twice_and_what_both_splits_share(put: Any, tmp_path: Path) -> None:
    shared = "this very long sentence can be found in both of the two splits of it"
    rows = [f"{shared} and here is number {i}" for i in range(10)] + [f"word{i} only{i}" for i in range(90)]
    path = put("t.txt", "\n".join([*rows, *rows[:5]]))
    code, said = command("stats", str(path), "--document", "line", "--json", "--set", "dataset.validation=0.5")
    found = json.loads(said)
    assert code == 0
    splits = found["splits"].values()
    assert sum(split["documents"] for split in splits) == 105
    assert sum(split["duplicates"] for split in splits) == 5
    assert found["contamination"]["documents"] == 0
    held = check_texts(str(path))
    expected = 100 * sum(text.startswith(shared) for text in held) / len(held)
    assert found["contamination"]["overlapping"] == pytest.approx(expected)
    assert "this very long sentence can be found in" in found["contamination"]["example"]
    code, said = command("stats", str(path), "--document", "line")
    assert "held-out documents that are in the training text: 0.00 %" in said


def test_stats_of_shards_say_only_what_was_counted(run: Run, tmp_path: Path) -> None:
    prepare(run, tmp_path / "sh")
    train = json.loads(command("stats", str(tmp_path / "sh"), "--json")[1])["splits"]["train"]
    assert {name for name, n in train.items() if n is None} == {"bytes", "duplicates", "shortest", "longest"}
    assert (train["documents"], train["characters"] > 0) == (len(list(run.documents["train"])), True)
    assert re.search(r"^train +\S+ +\S+ +\S+ % +\S+ *$", command("stats", str(tmp_path / "sh"))[1], re.M)


def test_stats_say_how_much_of_two_files_is_held_out(put: Any) -> None:
    for name, size in (("a", 20_000), ("b", 30_000)):
        path = put(f"t/{name}.txt", "".join(f"{name}{i} " for i in range(size))[:size])
    code, said = command("stats", str(path.parent))
    assert code == 0
    assert re.search(r"^train +2 +45,000 +90\.0 % ", said, re.M)
    assert re.search(r"^validation +2 +5,000 +10\.0 % ", said, re.M)
    assert "held-out documents that are in the training text: 0.00 %" in said


def check_texts(path: str) -> list[str]:
    settings = {"dataset": {"use": "files", "path": path, "document": "line", "validation": 0.5}}
    return list(check("names", settings).documents["validation"])


def test_documents_of_a_mix_that_leak_are_found(put: Any) -> None:
    """The positive control: a text that is held out of one dataset and trained on from another."""
    put("t.txt", "\n".join(f"{i} line of text" for i in range(100)))
    one = "{use: files, path: t.txt, document: line, validation: 0.2, split_seed: %d}"
    file = put("mine.yaml", f"dataset: {{use: mix, datasets: [{one % 1}, {one % 2}]}}\n")
    _, said = command("stats", str(file), "--json")
    assert json.loads(said)["contamination"]["documents"] > 50


ENOUGH = 300e6  # bytes of resident memory
FROM_PROC = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from /proc")
KEEPING = """
import os
from mmap import ACCESS_READ, mmap
from microgpt_datasets.shards import MappedIds
files = {{}}
def _bytes(self, file, start, stop):
    if file not in files:
        files[file] = {opened}
    return files[file][start * self.width : stop * self.width]
MappedIds._bytes = _bytes
"""
WHAT_IT_READ = KEEPING.format(opened="file.read_bytes()")
ITS_MAP = KEEPING.format(opened="mmap(os.open(file, os.O_RDONLY), 0, access=ACCESS_READ)")


@pytest.mark.long
@FROM_PROC
def test_two_gigabytes_train_in_300_mb(tmp_path: Path) -> None:
    """A sparse file of 2 GB, fifty steps, an evaluation, and the windows of many more steps."""
    assert resident(tmp_path, 1 << 30) < ENOUGH


@pytest.mark.long
@FROM_PROC
@pytest.mark.parametrize(("reader", "n"), [(WHAT_IT_READ, 1 << 28), (ITS_MAP, 1 << 30)], ids=["read", "mapped"])
def test_the_check_of_resident_memory_sees_a_reader_that_keeps(reader: str, n: int, tmp_path: Path) -> None:
    """The planted bugs. The second is seen only since the windows lie on more pages of the file than are allowed."""
    assert resident(tmp_path, n, reader) > ENOUGH


def resident(folder: Path, n: int, reader: str = "") -> int:
    """The most bytes that a process held while it trained on `n` tokens and took the windows of 12,500 steps."""
    sparse(folder / "sh", n)
    (folder / "m.yaml").write_text(
        "dataset: {use: shards, path: sh}\nmodel: {n_embd: 8, block_size: 64}\n"
        "train: {max_steps: 50, batch_size: 8, eval_interval: 25, eval_batches: 5}\nstages: [train]\n",
        encoding="utf-8",
    )
    code = (
        f"{reader}\nimport microgpt_core as mg, re, pathlib\nrun = mg.run('m.yaml')\n"
        "for step in range(12_500): run.batches.batch(step)\n"
        "status = pathlib.Path('/proc/self/status').read_text()\nprint(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) * 1024


def sparse(folder: Path, n: int) -> None:
    """Shards of `n` tokens, two bytes each, nearly all of them the disk doesn't hold."""
    folder.mkdir()
    splits = {}
    for split, count in (("train", n), ("validation", 100_000)):
        with open(folder / f"{split}-00000.bin", "wb") as file:
            file.truncate(2 * count)
        shard = {"file": f"{split}-00000.bin", "tokens": count, "sha256": ""}
        splits[split] = {"shards": [shard], "documents": 1, "characters": count}
    index = {"format": 1, "width": 2, "digest": "sparse", "splits": splits}
    (folder / "shards.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "tokenizer.json").write_text(json.dumps(Char().train(["abc"]).to_dict()), encoding="utf-8")
