"""Fine-tuning: a run begins with another's weights, freezes some, and may know other tokens."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.components import rows
from microgpt_core.errors import CheckpointError, DataError
from microgpt_core.inference.language_model import find_in_core
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline import trained
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.runs.ledger import start_digest
from microgpt_core.pipeline.runs.run import Reporter, Run
from microgpt_core.saving import transfer
from microgpt_core.saving.model_folder import read_tokenizer
from microgpt_core.storage.safetensors import read_safetensors

SHORT = {"train.max_steps": 3, "train.eval_interval": 0, "generate.num_samples": 1, "stages": ["train"]}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.txt").write_text("anna\nada\nhannah\nadam\n", encoding="utf-8")
    (tmp_path / "other.txt").write_text("Änna\nada\nzoë\n", encoding="utf-8")


@pytest.fixture
def base() -> Path:
    run = mg.run("names", SHORT | {"dataset.validation": 0.01, "model.n_layer": 2, "optimizer.lr": 0.1})
    return run.folder / "model"


def weights(folder: Path) -> dict[str, Any]:
    with read_safetensors(folder / "model.safetensors") as saved:
        return {name: x.tolist() for name, x in saved.items()}


def tuned(text: str = "few.txt", **more: Any) -> Run:
    settings = {
        "init_from": "names-1",
        "dataset.use": "text",
        "dataset.path": text,
        "dataset.document": "line",
        "train.batch_size": 2,
    }
    return mg.run("names", SHORT | {"name": "tuned", "tokenizer": None, "model": {}} | settings | more)


def test_a_run_begins_with_another_s_weights_architecture_and_tokenizer(base: Path) -> None:
    run = tuned(**{"optimizer.lr": 1e-30})
    assert weights(run.folder / "model") == weights(base)
    assert run.network.config() == mg.load("names-1").model.config()
    assert run.tokenizer.to_dict() == read_tokenizer(base, run.registry.get).to_dict()
    moved = weights(tuned().folder / "model")
    assert all(moved[name] != x for name, x in weights(base).items())


def test_another_tokenizer_is_another_start(base: Path) -> None:
    """The same weights, with tokens that may mean other characters."""
    before = start_digest(str(base))
    (base / "manifest.json").unlink()  # it is no key: who saves a folder again may leave it out
    assert start_digest(str(base)) == before
    path = base / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert start_digest(str(base)) != before


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        (["wte"], {"wte.weight"}),
        (["w?e", "lm_head.weight"], {"wte.weight", "wpe.weight", "lm_head.weight"}),
        (["block.0"], {"block.0.attention", "block.0.mlp"}),
        (["block.0.*", "wte"], {"block.0.attention", "block.0.mlp", "wte"}),
        (["block.*.attention.q"], {"block.0.attention.q", "block.1.attention.q"}),
    ],
)
def test_what_is_frozen_stays_and_has_no_gradient(base: Path, patterns: list[str], frozen: set[str]) -> None:
    run = tuned(freeze=patterns)
    before, after = weights(base), weights(run.folder / "model")
    still = {name for name in before if any(f"{name}.".startswith(f"{part}.") for part in frozen)}
    assert still
    assert {name for name in before if after[name] == before[name]} == still
    assert {p.name for p in run.network.parameters() if p.grad is None} == still


def test_another_vocabulary_keeps_the_rows_of_the_tokens_that_both_know(base: Path) -> None:
    said: list[str] = []

    class Listener(Reporter):
        def headline(self, text: str) -> None:
            said.append(text)

    run = mg.run(
        "names",
        SHORT | {"init_from": "names-1", "dataset": {"use": "text", "path": "other.txt", "document": "line"},
                 "model": {}, "tokenizer": "char", "optimizer.lr": 1e-30},
        reporter=Listener(),
    )  # fmt: skip
    old, new = read_tokenizer(base, run.registry.get), run.tokenizer
    before, after = weights(base), weights(run.folder / "model")
    known = new.encode("nadzo")
    assert new.encode("Äë") == [new.encode("Ä")[0], new.encode("ë")[0]]
    for name in ("wte.weight", "lm_head.weight"):
        for here in known:
            assert after[name][here] == before[name][old.encode(new.decode([here]))[0]]
        assert after[name][new.bos] == before[name][old.bos]
        for here in new.encode("Äë"):
            assert after[name][here] not in before[name]
            assert any(after[name][here])  # as drawn
    assert all(after[name] == x for name, x in before.items() if name not in GPT.token_rows)
    assert f"which knows 6 of {new.vocab_size} tokens; 21 more of its own are left out" in said[0]


def test_text_that_the_kept_tokenizer_can_t_say_is_an_error_with_the_way_out(base: Path) -> None:
    with pytest.raises(DataError, match=r"document 0: unknown character 'Ä' [^`]*names-1[^`]*`tokenizer: char`"):
        tuned("other.txt")


def test_the_precision_may_be_another(base: Path) -> None:
    run = tuned(**{"precision": "float64", "optimizer.lr": 1e-30})
    assert run.network.precision == "float64"
    assert weights(run.folder / "model") == weights(base)


def test_what_was_resolved_makes_the_same_run_again(base: Path) -> None:
    first = tuned(freeze=["wte"])
    again = mg.run(first.folder / "resolved.yaml", output="again")
    for name in ("resolved.yaml", "metrics.jsonl", "model/model.safetensors"):
        assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes(), name


def test_a_path_is_relative_to_the_file(base: Path) -> None:
    Path("sub").mkdir()
    base.rename("sub/start")
    Path("sub/tune.yaml").write_text(
        "init_from: start\nstages: [train]\ntrain: {max_steps: 1, batch_size: 2}\n"
        "dataset: {use: text, path: ../few.txt, document: line}\n",
        encoding="utf-8",
    )
    run = mg.run("sub/tune.yaml")
    assert run.pipeline.init_from == str(Path("sub/start").absolute())
    assert run.network.n_layer == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"init_from": "nowhere"}, r"nowhere: no such run or model folder"),
        (
            {"freeze": ["wte", "wtf"]},
            r"unknown part of the model 'wtf' \(did you mean 'wte'\?\); known: wte, wpe, lm_head, block.0, block.1, ",
        ),
        (
            {"freeze": ["wte", "lm_*"], "init_from": None, "tokenizer": "char", "model": {"tie_weights": True}},
            r"freeze\[1\]: lm_\* has no parameter of its own: it shares wte\.weight",
        ),
        ({"freeze": ["*"]}, r"freeze\[0\]: \* leaves no parameter to train"),
        ({"freeze": "wte"}, "expected a list, found 'wte'"),
        (
            {"model": {"n_layer": 3}},
            r"model\.n_layer: found 3, allowed: 2, as the model of init_from has it; leave it out",
        ),
        ({"model": {"n_embd": 32}}, r"model\.n_embd: found 32, allowed: 16, as"),
        ({"model": {"activation": "gelu"}}, r"model\.activation: found 'gelu', allowed: 'relu2', as"),
        ({"model": {"window": 3}}, r"model\.window: found 3, allowed: nothing, as"),
        ({"model": {"preset": "llama-tiny"}}, r"model\.position: found 'rope', allowed: 'learned', as"),
    ],
    ids=str,
)
def test_what_doesn_t_fit_is_refused(base: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises((PipelineError, CheckpointError), match=said):
        tuned(**settings)


def test_what_has_no_shape_may_change(base: Path) -> None:
    run = tuned(model={"dropout": 0.5, "init_std": 0.5})
    assert run.network.dropout == 0.5
    assert run.network.n_layer == 2


def test_a_tuned_run_needs_its_ancestor_no_longer(base: Path) -> None:
    tuned(**{"stages": ["train", "evaluate"], "dataset.validation": 0.5})
    shutil.rmtree("runs/names-1")
    assert mg.plan("runs/tuned-1").model.n_parameters == mg.load("tuned-1").model.n_parameters
    assert trained.held_out("tuned-1")[1] > 0


def test_weights_that_don_t_fit_are_refused_before_any_is_taken(base: Path) -> None:
    """What reading a pipeline would have found already."""
    other = GPT(vocab_size=27, n_layer=3)
    other.allocate()
    tokenizer = mg.load("names-1").tokenizer
    with pytest.raises(CheckpointError, match=r"block\.2\.attention\.q\.weight is missing, this model has \(16, 16\)"):
        transfer.transfer(other, tokenizer, base, find_in_core)
    other = GPT(vocab_size=27, n_layer=1)
    other.allocate()
    with pytest.raises(CheckpointError, match=r"block\.1\.attention\.k\.weight has no place in this model"):
        transfer.transfer(other, tokenizer, base, find_in_core)


def test_a_pattern_s_problem_has_its_place(base: Path) -> None:
    Path("tune.yaml").write_text("init_from: names-1\nfreeze: [wte, blok.0]\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"tune\.yaml:2:15: freeze\[1\]: unknown part of the model 'blok\.0'"):
        mg.run("tune.yaml")


def test_a_row_in_the_wrong_place_would_be_seen(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a planted bug that keeps ids instead of tokens."""
    monkeypatch.setattr(transfer, "shared_tokens", lambda known, tokenizer: [(i, i) for i in range(5)])
    run = tuned("few.txt", tokenizer="char", **{"optimizer.lr": 1e-30})
    old, new = read_tokenizer(base, run.registry.get), run.tokenizer
    (here,), (there,) = new.encode("n"), old.encode("n")
    assert list(rows(run.network.wte.weight.data)[here]) != weights(base)["wte.weight"][there]
