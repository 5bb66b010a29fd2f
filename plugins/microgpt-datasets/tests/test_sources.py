"""Mixes, streams, tasks and the texts of the catalogue."""

import io
import json
import zipfile
from collections import Counter
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.components import Dataset
from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.pipeline.check import check
from microgpt_datasets import catalogue
from microgpt_datasets.mix import Mix
from microgpt_datasets.synthetic import Synthetic


class Counted(Dataset):
    """`n` documents that begin with a letter."""

    name = "counted"

    def __init__(self, letter: str, n: int, size: int = 5, held_out: int = 0) -> None:
        self.letter, self.n, self.size, self.held_out = letter, n, size, held_out

    def documents(self, split):  # type: ignore[no-untyped-def]
        n = self.n if split == "train" else self.held_out
        return (f"{self.letter}{i}".ljust(self.size, ".") for i in range(n))


# ---- mix


@pytest.mark.parametrize("weights", [[1, 1], [2, 1], [0.7, 0.3], [10, 1], [0.001, 0.002], [5, 3, 2]])
def test_the_shares_hold_within_two_percent_all_along(weights: list[float]) -> None:
    sources: list[Dataset] = [Counted("abc"[i], 10_000) for i in range(len(weights))]
    seen = Counter[str]()
    for i, text in enumerate(Mix(sources, weights).documents("train"), 1):
        seen[text[0]] += 1
        if i >= 100 and i % 50 == 0:
            for which, weight in enumerate(weights):
                assert abs(seen["abc"[which]] / i - weight / sum(weights)) < 0.02
    assert sum(seen.values()) > 10_000


def test_the_check_of_shares_sees_a_mix_that_takes_turns() -> None:
    """The positive control: one after the other in turn isn't 2 to 1."""
    turns = Mix([Counted("a", 600), Counted("b", 600)], [1, 1])
    seen = Counter(text[0] for text in islice(turns.documents("train"), 600))
    assert abs(seen["a"] / 600 - 2 / 3) > 0.02


def test_shares_of_characters() -> None:
    mix = Mix([Counted("a", 5000, size=100), Counted("b", 5000, size=10)], [1, 1], unit="characters")
    sizes = Counter[str]()
    for text in mix.documents("train"):
        sizes[text[0]] += len(text)
    assert sizes["a"] / sizes.total() == pytest.approx(0.5, abs=0.02)


def test_where_a_mix_ends() -> None:
    datasets: list[Dataset] = [Counted("a", 3), Counted("b", 7)]
    assert [text[0] for text in Mix(datasets).documents("train")] == list("ababab")
    every = Counter(text[0] for text in Mix(datasets, until="all").documents("train"))
    assert every["b"] == 7
    assert every["a"] in (7, 8)
    assert list(Mix(datasets, until="all").documents("validation")) == []
    with pytest.raises(DataError, match=r"datasets\[1\]: 'counted' has no documents to train on"):
        list(Mix([Counted("a", 3), Counted("b", 0)], until="all").documents("train"))


def test_a_mix_in_a_pipeline(put: Any) -> None:
    put("a.txt", "\n".join(f"line number {i}" for i in range(500)))
    file = put("mine.yaml", "dataset: {use: mix, datasets: [{use: synthetic, n: 300, task: sort}, {use: files, "
               "path: a.txt, document: line}], weights: [1, 3]}\ntransforms: [lower, deduplicate]\n")  # fmt: skip
    documents = list(check(file).documents["train"])
    share = sum(">" in text for text in documents) / len(documents)
    assert share == pytest.approx(0.25, abs=0.02)


# ---- stream


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["train/loss"] for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]


def test_a_stream_goes_on_where_it_was_stopped(put: Any, tmp_path: Path) -> None:
    put("t.jsonl", "".join(json.dumps({"text": f"text {i * i}"}) + "\n" for i in range(300)))
    text = """
dataset: {use: stream, buffer: 20, dataset: {use: jsonl, path: t.jsonl}}
model: {n_embd: 8}
schedule: constant
train: {batch_size: 4, max_steps: 8, checkpoint_interval: 4}
stages: [train]
"""
    file = put("mine.yaml", text)
    mg.run(file, output=tmp_path / "whole")
    mg.run(file, {"train.max_steps": 4}, output=tmp_path / "half")
    mg.resume(tmp_path / "half", {"train.max_steps": 8})
    assert losses(tmp_path / "half") == losses(tmp_path / "whole")
    with pytest.raises(ConfigurationError, match="train.epochs: dataset 'datasets/stream' is read as a stream"):
        check(file, {"train.epochs": 1})


# ---- tasks


@pytest.mark.parametrize(
    ("task", "is_right"),
    [
        ("copy", lambda question, answer: answer == question),
        ("reverse", lambda question, answer: answer == question[::-1]),
        ("sort", lambda question, answer: list(answer) == sorted(question)),
    ],
)
def test_letters(task: Any, is_right: Any) -> None:
    documents = list(Synthetic(task=task, n=500, symbols=4).documents("train"))
    assert all(is_right(*text.split(">")) for text in documents)
    assert set("".join(documents)) == set("abcd>")
    assert {len(text.split(">")[0]) for text in documents} == {1, 2, 3, 4, 5, 6}
    assert len(set(documents)) == len(documents)


def test_addition_and_induction() -> None:
    for text in Synthetic(task="addition", n=300, length=3).documents("train"):
        question, answer = text.split("=")
        a, b = question.split("+")
        assert int(a) + int(b) == int(answer)
        assert max(len(a), len(b)) <= 3
    for text in Synthetic(task="induction", n=300, length=5).documents("validation"):
        assert text[:5] == text[5:]
        assert len(set(text)) == 5


def test_a_task_is_the_same_for_a_seed_and_is_no_other_for_another() -> None:
    one, again, other = (list(Synthetic(n=50, seed=seed).documents("train")) for seed in (1, 1, 2))
    assert one == again != other


# ---- the catalogue


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a file into the cache as if it were the catalogue's: with its own size and checksum."""
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path / "cache"))

    def cached(cls: Any, data: bytes) -> None:
        entry = cls.entry.__class__(**{**vars(cls.entry), "size": len(data), "sha256": sha256(data).hexdigest()})
        monkeypatch.setattr(cls, "entry", entry)
        entry.path.parent.mkdir(parents=True, exist_ok=True)
        entry.path.write_bytes(data)

    return cached


def zipped(members: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return made.getvalue()


def test_texts_of_the_catalogue_as_they_come(cached: Any) -> None:
    cached(catalogue.Text8, zipped({"text8": " anarchism originated" * 100}))
    assert list(catalogue.Text8(validation=0).documents("train")) == [" anarchism originated" * 100]
    wiki = {f"wikitext-2-raw/wiki.{part}.raw": f" = {part} = \n" for part in ("train", "valid", "test")}
    cached(catalogue.WikiText2, zipped(wiki))
    assert list(catalogue.WikiText2().documents("train")) == [" = train = \n"]
    assert list(catalogue.WikiText2().documents("validation")) == [" = valid = \n"]
    assert list(catalogue.WikiText2(validation=0).documents("validation")) == []
    cached(catalogue.TinyStories, b"Once.\nUpon.\n<|endoftext|>\n\n\nA time.\n<|endoftext|>\n<|endoftext|>\nLast")
    assert list(catalogue.TinyStories(validation=0).documents("train")) == ["Once.\nUpon.", "A time.", "Last"]
    cached(catalogue.Enwik8, zipped({"readme": "no"}))
    with pytest.raises(DataError, match="there is no enwik8 in it"):
        list(catalogue.Enwik8().documents("train"))


def test_a_damaged_text_is_not_read(cached: Any) -> None:
    cached(catalogue.Text8, zipped({"text8": "abc" * 100}))
    path = catalogue.Text8.entry.path  # type: ignore[union-attr]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="text8 is damaged in the cache .*microgpt data get text8"):
        list(catalogue.Text8().documents("train"))


def test_every_entry_says_where_it_comes_from() -> None:
    for cls in (catalogue.Enwik8, catalogue.Text8, catalogue.TinyStories, catalogue.WikiText2):
        entry = cls.entry
        assert entry is not None
        assert (entry.name, len(entry.sha256)) == (cls.name, 64)
        assert entry.url.startswith("https://")
        assert entry.licence
        assert entry.size > 1_000_000
