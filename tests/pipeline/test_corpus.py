"""What a run learns from: transforms and what they leave, documents that are streamed, and numbers without text."""

import json
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.errors import ConfigurationError, DataError
from microgpt_core.pipeline.check import about, check
from microgpt_core.pipeline.runs.corpus import Corpus
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.text.char import Char
from microgpt_core.text.names import Names

PACK = '''
"""Transforms, a stream, and numbers."""

import json
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from microgpt_core.components import Dataset, Transform
from microgpt_core.hookspecs import hookimpl
from microgpt_core.text.names import Names


@dataclass
class Upper(Transform):
    """Capital letters."""

    name: ClassVar[str] = "upper"

    def apply(self, texts, split):
        return (text.upper() for text in texts)


@dataclass
class Short(Transform):
    """Documents of at most `most` characters."""

    name: ClassVar[str] = "short"
    most: int = 5

    def apply(self, texts, split):
        return (text for text in texts if len(text) <= self.most)


@dataclass(kw_only=True)
class River(Names):
    """Names, read as a stream."""

    name: ClassVar[str] = "river"
    buffer: int = 100


@dataclass(kw_only=True)
class Numbers(Dataset):
    """Numbers in a file, a byte each."""

    name: ClassVar[str] = "numbers"
    path: str = "ids.bin"
    separate: ClassVar[bool] = False

    def tokens(self, split):
        ids = memoryview(((self.base or Path()) / self.path).read_bytes())
        return ids[: len(ids) * 9 // 10] if split == "train" else ids[len(ids) * 9 // 10 :]

    def tokenizer(self):
        return ((self.base or Path()) / self.path).parent


@hookimpl
def microgpt_transforms():
    return {"upper": Upper, "short": Short}


@hookimpl
def microgpt_datasets():
    return {"river": River, "numbers": Numbers}
'''
SHORT: dict[str, Any] = {"train.max_steps": 6, "train.eval_interval": 3, "train.checkpoint_interval": 3,
    "generate.num_samples": 1, "model.n_embd": 8, "dataset.validation": 0.02}  # fmt: skip
TEXT = "to be or not to be, that is the question\n" * 40


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["train/loss"] for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    tokenizer = Char().train([TEXT])
    (tmp_path / "ids.bin").write_bytes(bytes(tokenizer.encode(TEXT)))
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer.to_dict()), encoding="utf-8")
    return tmp_path


def test_transforms_are_applied_in_their_order_and_counted(run: Callable[..., tuple[Run, str]]) -> None:
    made, said = run(transforms=["upper", {"use": "short", "most": 4}])
    kept = {split: sorted(texts) for split, texts in made.documents.items()}
    assert all(text.isupper() and len(text) <= 4 for texts in kept.values() for text in texts)
    given = made.corpus.counts
    assert given["train"] == [5060, 5060, len(kept["train"])]
    assert f"train: 5,060 documents, 5,060 after upper, {len(kept['train']):,} after short" in said
    assert "validation: 103 documents" in said
    environment = json.loads((made.folder / "environment.json").read_text(encoding="utf-8"))
    assert environment["transforms"] == given
    assert "e" not in made.tokenizer.to_dict()["characters"]


def test_the_same_transform_may_come_twice(pack: Path) -> None:
    twice = {"transforms": [{"use": "short", "most": 9}, {"use": "short", "most": 4}]}
    checked = check("names", twice, plugins=[pack])
    assert max(map(len, checked.documents["train"])) == 4


def test_transforms_that_leave_nothing(pack: Path) -> None:
    with pytest.raises(DataError, match="has no documents to train on; its 4,647 were left out by the transforms"):
        check("names", {"transforms": [{"use": "short", "most": 0}]}, plugins=[pack])


@pytest.mark.parametrize("batching", ["documents", "packed", "random_window"])
def test_a_stream_trains_and_goes_on_with_the_same_bits(batching: str, pack: Path, tmp_path: Path) -> None:
    settings = {**SHORT, "dataset": {"use": "river", "validation": 0.02}, "train.batching": batching}
    del settings["dataset.validation"]
    whole = mg.run("names", settings, plugins=[pack], output=tmp_path / "whole")
    mg.run("names", {**settings, "train.max_steps": 3}, plugins=[pack], output=tmp_path / "half")
    mg.resume(tmp_path / "half", {"train.max_steps": 6}, plugins=[pack])
    assert losses(tmp_path / "half") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 6
    assert whole.data_digest == check("names", {"dataset.validation": 0.02}).data_digest  # it is the same text


def test_the_length_of_a_stream_isnt_known(pack: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"train.epochs: dataset 'loud/river' is read as a stream"):
        check("names", {"dataset": "river", "train.epochs": 2}, plugins=[pack])


def test_numbers_train_with_the_tokenizer_that_made_them(pack: Path, numbers: Path) -> None:
    file = numbers / "mine.yaml"
    file.write_text("dataset: numbers\nmodel: {n_embd: 8}\ntrain: {max_steps: 4}\n", encoding="utf-8")
    checked = check(file, plugins=[pack])
    n = len(TEXT) * 9 // 10
    assert about(checked).startswith(
        f"mine is right: gpt of {checked._model.n_parameters:,} parameters, {n:,} tokens of"
    )
    assert checked.pipeline.tokenizer is None
    made = mg.run(file, plugins=[pack], output=numbers / "run")
    assert made.tokenizer.decode(made.tokenizer.encode("to be")) == "to be"
    assert set(made.batches.batch(0).tokens) <= set(range(1, made.tokenizer.vocab_size))
    again = mg.run(numbers / "run" / "resolved.yaml", plugins=[pack], output=numbers / "again", force=True)
    assert losses(numbers / "again") == losses(numbers / "run")
    assert again.evaluation["loss"] > 0


def test_numbers_give_what_their_text_gives(pack: Path, numbers: Path) -> None:
    """The same windows of the same ids, whether they come from a text or from a file of numbers."""
    (numbers / "t.txt").write_text(TEXT, encoding="utf-8", newline="\n")
    common = "model: {n_embd: 8}\ntrain: {max_steps: 4}\nstages: [train]\n"
    for name, dataset in (("ids", "numbers"), ("text", "{use: text, path: t.txt, validation: 0.1}")):
        tokenizer = "" if name == "ids" else "tokenizer: {use: char, add_bos: true}\n"
        text = f"dataset: {dataset}\n{tokenizer}{common}"
        (numbers / f"{name}.yaml").write_text(text, encoding="utf-8", newline="\n")
    ids, text_ = (check(numbers / f"{name}.yaml", plugins=[pack]) for name in ("ids", "text"))
    found = list(ids.batches.batch(0).tokens)
    joined = [0, *text_.tokenizer.encode(TEXT)]
    assert "".join(map(chr, found[:8])) in "".join(map(chr, joined))
    assert array("i", ids.encoded("train")[0]) == array("i", text_.encoded("train")[0])


def test_another_tokenizer_than_that_of_the_numbers_is_said_not_to_be_used(
    pack: Path, numbers: Path, headlines: Any
) -> None:
    file = numbers / "mine.yaml"
    file.write_text("dataset: numbers\ntokenizer: char\ntrain: {max_steps: 1}\nstages: [train]\n", encoding="utf-8")
    mg.run(file, plugins=[pack], output=numbers / "run", reporter=headlines)
    assert "tokenizer: char isn't used: the numbers of loud/numbers mean what its own tokenizer" in headlines.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transforms": ["upper"]}, "transforms: dataset 'loud/numbers' holds numbers, not text; they are applied"),
        ({"train.batching": "packed"}, "train.batching: found packed, allowed: random_window, since dataset"),
    ],
)
def test_what_numbers_cant_be(settings: dict[str, Any], message: str, pack: Path, numbers: Path) -> None:
    (numbers / "mine.yaml").write_text("dataset: numbers\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        check(numbers / "mine.yaml", settings, plugins=[pack])


def test_numbers_that_change_are_noticed_without_a_digest_of_their_own(pack: Path, numbers: Path) -> None:
    (numbers / "mine.yaml").write_text("dataset: numbers\n", encoding="utf-8")
    before = check(numbers / "mine.yaml", plugins=[pack]).data_digest
    ids = bytearray((numbers / "ids.bin").read_bytes())
    ids[7] = 1 if ids[7] != 1 else 2
    (numbers / "ids.bin").write_bytes(ids)
    assert check(numbers / "mine.yaml", plugins=[pack]).data_digest != before


def test_numbers_held_out_are_evaluated(pack: Path, numbers: Path) -> None:
    from microgpt_core.pipeline.trained import held_out

    (numbers / "mine.yaml").write_text(
        "dataset: numbers\nmodel: {n_embd: 8}\ntrain: {max_steps: 2}\n", encoding="utf-8"
    )
    made = mg.run(numbers / "mine.yaml", plugins=[pack], output=numbers / "run")
    assert held_out(str(numbers / "run"), [pack])[1] == pytest.approx(made.evaluation["loss"])


class Once(Names):
    """Names that count how often they are read."""

    read = 0

    def documents(self, split):  # type: ignore[no-untyped-def]
        Once.read += split == "train"
        return super().documents(split)


@pytest.mark.parametrize(("streamed", "passes"), [((), 1), (("train",), 4)])
def test_how_often_a_text_is_read(streamed: tuple[str, ...], passes: int) -> None:
    """Text that is held is read once; of a stream: counted, digested, learned by a tokenizer, and then trained on."""
    corpus, Once.read = Corpus(Once(), [], "once"), 0
    corpus.streamed = streamed
    assert (corpus.amounts["train"], len(corpus.digest)) == (4647, 64)
    assert sum(1 for _ in corpus.everything) == 5163
    assert next(iter(corpus.documents["train"]))
    assert Once.read == passes
