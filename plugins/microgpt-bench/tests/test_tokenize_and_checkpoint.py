"""The work that needs no model's step: tokenizers, beside peers that make the same of a text, and checkpoints."""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from microgpt_bench.bench import Question, bench
from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.race import Effort, Timed
from microgpt_bench.measuring.same_tokens import same_tokens
from microgpt_bench.results.store import as_json
from microgpt_bench.work import peers, tokenize
from microgpt_bench.work.checkpoint import Checkpoint
from microgpt_bench.work.tokenize import TASKS, Tokenize, tasks, text_of
from microgpt_core.components import Peer, Tokenizer, flat
from microgpt_core.errors import ConfigurationError, DataError, UnknownNameError
from microgpt_core.saving.checkpoint import checkpoints

OWN = Candidate("microgpt")
OTHER = Candidate("other", peer=True)
SHORT = Effort(rounds=2, processes=1, block_seconds=0.001)
TEXT = "Größe, größer\nam größten"


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8", newline="\n")
    return str(tmp_path / "a.txt")


@pytest.mark.parametrize("task", TASKS)
def test_a_turn_goes_through_the_text(task: str, text: str) -> None:
    work = Tokenize(OWN, f"char {task}", [text])
    work.run(2)
    assert work.facts() == {"tokens": 0 if task == "train" else len(TEXT), "bytes": len(TEXT.encode())}
    assert work.tokenizer.decode(work.tokenizer.encode(TEXT)) == TEXT


def test_every_turn_of_training_begins_with_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    work, made = Tokenize(OWN, "char train", [text]), list[Tokenizer]()
    new = work.new
    monkeypatch.setattr(work, "new", lambda: made.append(new()) or made[-1])
    work.run(3)
    assert len(set(map(id, made))) == 3
    assert work.tokenizer is made[-1]


def test_the_packaged_text_is_the_names() -> None:
    assert text_of("").count("\n") > 1000


def test_a_text_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        text_of(str(tmp_path / "nothing.txt"))
    (tmp_path / "empty.txt").touch()
    with pytest.raises(DataError, match="it is empty"):
        text_of(str(tmp_path / "empty.txt"))


class Reversing(Tokenizer):
    """A tokenizer that says everything backwards, in both directions."""

    def __init__(self, ours: Tokenizer) -> None:
        self.ours = ours

    def train(self, texts: Any) -> "Reversing":
        self.ours.train(texts)
        return self

    def encode(self, text: str) -> list[int]:
        return self.ours.encode(text)[::-1]

    def decode(self, ids: Sequence[int]) -> str:
        return self.ours.decode(ids)[::-1]


class Forgetful(Tokenizer):
    """A tokenizer that learns from half of the texts."""

    def __init__(self, ours: Tokenizer) -> None:
        self.ours = ours

    def train(self, texts: Any) -> "Forgetful":
        self.ours.train([TEXT])
        self.vocab_size = self.ours.vocab_size // 2
        return self

    def encode(self, text: str) -> list[int]:
        return self.ours.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        return self.ours.decode(ids)


class Same(Peer):
    def tokenizer(self, ours: Tokenizer) -> Tokenizer:
        return ours


class Wrong(Peer):
    def tokenizer(self, ours: Tokenizer) -> Tokenizer:
        return Reversing(ours)


class Lazy(Peer):
    def tokenizer(self, ours: Tokenizer) -> Tokenizer:
        return Forgetful(ours)


class Told:
    """A racer whose work is in this process."""

    def __init__(self, candidate: Candidate, work: Tokenize) -> None:
        self.candidate, self.work = candidate, work

    def tell(self, do: str, what: str) -> Any:
        return getattr(self.work, what)()


@pytest.mark.parametrize(
    ("task", "peer", "left_out"),
    [
        *((task, Same, "") for task in TASKS),
        ("train", Lazy, "other doesn't make of the text what microgpt makes of it: other vocabulary"),
        ("encode", Wrong, "other doesn't make of the text what microgpt makes of it: other tokens"),
        ("decode", Wrong, "other doesn't make of the text what microgpt makes of it: other tokens"),
    ],
)
def test_who_makes_something_else_of_the_text_is_left_out(
    task: str, peer: type[Peer], left_out: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenize, "find_peer", lambda name: peer())
    lane: list[Any] = []
    for who in (OWN, OTHER):
        work = Tokenize(who, f"char {task}", [text])
        work.run(1)
        lane.append((Timed(who), Told(who, work), 1))
    differences: dict[str, dict[str, float]] = {}
    same_tokens(differences)(lane)
    assert lane[1][0].left_out.startswith(left_out)
    assert bool(lane[1][0].left_out) == bool(left_out)
    assert any(by > 0 for by in differences["other"].values()) == bool(left_out)
    assert not lane[0][0].left_out


class Training(Peer):
    def training(self, *given: Any) -> Any:
        raise AssertionError("nobody asked")


def test_a_peer_is_raced_at_what_it_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_peer", lambda name: {"same": Same, "training": Training}[name]())
    found = Question("tokenize", ["char encode"], ["microgpt"], peers=["same"]).candidates("char encode")
    assert [(one.name, one.peer) for one in found] == [("microgpt", False), ("same", True)]
    with pytest.raises(ConfigurationError, match="training: it has no tokenizer; race it by: microgpt bench step"):
        Question("tokenize", ["char encode"], ["microgpt"], peers=["training"]).candidates("char encode")
    with pytest.raises(ConfigurationError, match="same: it trains nothing; race it by: microgpt bench tokenize"):
        Question("step", ["e16"], ["reference"], peers=["same"]).candidates("e16")


def test_both_kinds_are_measured_and_fit_the_schema(text: str, tmp_path: Path) -> None:
    schema = json.loads(files("microgpt_bench.results").joinpath("schema.json").read_text(encoding="utf-8"))
    for kind, models, more in (
        ("tokenize", ["char train", "char encode", "char decode"], {"texts": [text]}),
        ("checkpoint", ["e16 save", "e16 load"], {"folder": str(tmp_path)}),
    ):
        report = bench(Question(kind, models, ["microgpt"], more=more), SHORT)
        assert [one.model for one in report.results] == models
        assert not report.skipped
        assert all(one.mb_per_s > 0 for one in report.results)
        jsonschema.validate(json.loads(as_json(report)), schema)


@pytest.mark.parametrize(("kind", "model"), [("tokenize", "chars encode"), ("checkpoint", "e17 save")])
def test_what_there_is_not(kind: str, model: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown model to measure '{model}'"):
        bench(Question(kind, [model], ["microgpt"]), SHORT)
    assert {"char decode", "char encode mine"} <= set(tasks({"vocabularies": {"char encode mine": "a.json"}}))


def test_one_checkpoint_stays_and_holds_everything(tmp_path: Path) -> None:
    work = Checkpoint(OWN, "e16 save", str(tmp_path))
    work.run(3)
    (left,) = checkpoints(work.folder)
    assert left.name == "step-000004"
    weights = sum(len(flat(w)) for w in work.model.state().values())
    assert 3 * 4 * weights < work.facts()["bytes"] < 5 * 4 * weights  # and two averages of each, and three small files


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    work = Checkpoint(OWN, "e16 load", str(tmp_path))
    (name, first), *_ = work.model.state().items()
    before = list(flat(first))
    flat(first)[0] += 1.0
    assert list(flat(work.model.state()[name])) != before
    work.run(1)
    assert list(flat(work.model.state()[name])) == before
