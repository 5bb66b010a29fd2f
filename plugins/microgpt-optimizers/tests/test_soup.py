"""`microgpt soup`: the mean of weights, what is left out of it, and what can't be mixed."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import microgpt_core as mg
from microgpt_core.components.buffer import flat
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.trained import held_out
from microgpt_core.storage.safetensors import read_safetensors
from microgpt_optimizers.soup import command

SMALL: dict[str, Any] = {
    "model.n_embd": 8, "model.block_size": 8, "train.batch_size": 4, "train.max_steps": 30, "stages": ["train"],
    "train.eval_interval": 0, "backend": "reference", "optimizer.lr": 0.01,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs: two that go on from the same one, one that has learned nothing, one of another shape, one of other text."""
    made = tmp_path_factory.mktemp("runs")
    (made / "vowels.txt").write_text("aeiou\n" * 50, encoding="utf-8")
    mg.run("names", SMALL, output=made / "first")
    for name, settings in {
        "a": {"init_from": str(made / "first"), "seed": 1},
        "b": {"init_from": str(made / "first"), "seed": 2},
        "bad": {"optimizer.lr": 1e-9, "seed": 3},
        "wide": {"model.n_embd": 16},
        "heads": {"model.n_head": 2},
        "dropout": {"model.dropout": 0.1, "train.max_steps": 1},
        "vowels": {"dataset": {"use": "text", "path": str(made / "vowels.txt"), "document": "line"}},
    }.items():
        mg.run("names", SMALL | settings, output=made / name)
    return made


def soup(folder: Path, *words: str) -> dict[str, Any]:
    """The command, of runs by their names and whatever else."""
    typed = [str(folder / word) if (folder / word).exists() else word for word in words]
    result = CliRunner().invoke(command, [*typed, "--json"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def weights(folder: Path) -> dict[str, list[float]]:
    with read_safetensors(folder / "model.safetensors") as saved:
        return {name: flat(x).tolist() for name, x in saved.items()}


def test_the_weights_are_the_mean(folder: Path, tmp_path: Path) -> None:
    found = soup(folder, "a", "b", "first", "-o", str(tmp_path / "soup"))
    mixed, *parts = (
        weights(path) for path in (tmp_path / "soup", *(folder / x / "model" for x in ("a", "b", "first")))
    )
    for name, numbers in mixed.items():
        assert numbers == pytest.approx([sum(x) / 3 for x in zip(*(part[name] for part in parts))], rel=1e-6, abs=1e-9)
    assert [x["kept"] for x in found["models"]] == [True] * 3
    assert found["models"][0]["loss"] == held_out(str(folder / "a"))[1]
    assert found["path"] == str(tmp_path / "soup")


def test_a_model_with_itself_stays_what_it_is(folder: Path, tmp_path: Path) -> None:
    found = soup(folder, "a", "a", "-o", str(tmp_path / "soup"))
    assert weights(tmp_path / "soup") == weights(folder / "a" / "model")
    assert found["loss"] == found["models"][0]["loss"] == found["models"][1]["loss"]


def test_what_only_training_knows_may_differ(folder: Path, tmp_path: Path) -> None:
    assert soup(folder, "a", "dropout", "-o", str(tmp_path / "soup"))["loss"] > 0


def test_a_greedy_soup_leaves_out_what_makes_it_worse(folder: Path, tmp_path: Path) -> None:
    names = ("bad", "a", "b")
    all_of_them = soup(folder, *names, "-o", str(tmp_path / "all"))
    some = soup(folder, *names, "-o", str(tmp_path / "some"), "--greedy")
    losses = [x["loss"] for x in some["models"]]
    assert [x["kept"] for x in some["models"]][0] is False
    assert some["loss"] <= min(losses) < all_of_them["loss"]


def test_another_text_can_be_what_counts(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("emma\nolivia\n", encoding="utf-8")
    found = soup(folder, "a", "b", "-o", str(tmp_path / "soup"), "--text", str(tmp_path / "text.txt"))
    expected = mg.load(tmp_path / "soup").evaluate(["emma", "olivia"])["loss"]
    assert found["loss"] == pytest.approx(expected, rel=1e-6)
    again = CliRunner().invoke(command, [str(folder / "a"), str(folder / "b"), "-o", str(tmp_path / "soup"), "--force"])
    assert again.exit_code == 0
    assert again.stdout.splitlines()[-1].endswith("the mean of 2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a", "wide"), "n_embd is 16, in"),
        (("a", "wide"), "only models of one shape mix"),
        (("a", "heads"), "n_head is 2, in"),  # whose parameters have the same shapes
        (("a", "vowels"), "its tokenizer isn't that of"),
        (("a", "none"), "none"),
        (("a", "b", "-o", "."), "exists already; --force replaces it"),
        (("a/model", "b"), "nothing was held out; name a text: --text FILE"),
    ],
)
def test_what_cant_be_mixed_is_told(words: tuple[str, ...], said: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        soup(folder, "-o", str(tmp_path / "soup"), *words)
    assert said in str(caught.value)
    assert not (tmp_path / "soup").exists()


def test_one_model_is_no_soup(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(folder / "a"), "-o", str(tmp_path / "soup")])
    assert result.exit_code == 2
    assert "expected two models or more, found 1" in result.output
