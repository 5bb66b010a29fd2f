"""Sizes that can't be meant are refused by their key, with exit code 4, before anything of that size is made."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from microgpt_core.cli.main import main
from microgpt_core.errors import DoesNotFitError
from microgpt_core.models import gpt
from microgpt_core.models.gpt import GPT
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading import sizes
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.registry import Registry

ABSURD = [
    ("train.batch_size", 10**9, "16,000,000,000 tokens in a batch; allowed: up to 4,194,304"),
    ("model.block_size", 10**8, "400,000,000 tokens in a batch"),
    ("train.accumulation", 10**9, "64,000,000,000 tokens in a step; allowed: up to 1,073,741,824"),
    ("model.n_layer", 10**6, "allowed: up to 1,000 blocks"),
    ("model.n_embd", 10**7, "numbers to learn; allowed: up to 10,000,000,000,000"),
    ("model.n_hidden", 10**13, "numbers to learn"),
    ("model.mlp_ratio", 10**12, "numbers to learn"),
    ("generate.num_samples", 10**12, "1,000,000,000,000 samples; allowed: up to 10,000,000"),
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(builtin)


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def microgpt(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="microgpt")


@pytest.mark.parametrize(("key", "value", "said"), ABSURD)
def test_reading_refuses_what_no_machine_has_room_for(key: str, value: int, said: str, registry: Registry) -> None:
    with pytest.raises(DoesNotFitError) as refused:
        read_pipeline("names", registry, {key: value})
    assert str(refused.value).startswith(f"override: {key}: found {value:,}")
    assert said in str(refused.value)
    assert refused.value.exit_code == 4


@pytest.mark.parametrize("command", [["check"], ["plan"], ["run"], ["run", "--dry-run"], ["check", "--json"]], ids=str)
def test_each_command_does(command: list[str]) -> None:
    for key, value, said in ABSURD:
        result = microgpt(*command, "names", "--set", f"{key}={value}")
        assert result.exit_code == 4, result.output
        assert said in result.output
        assert list(Path().iterdir()) == []
    assert command[-1] != "--json" or json.loads(result.stdout)["ok"] is False


def test_the_refusal_stands_where_the_key_does(registry: Registry) -> None:
    for text, place in (("model: {n_layer: 2000}", "1:18"), ("seed: 1\ntrain:\n  batch_size: 900000", "3:15")):
        Path("mine.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(DoesNotFitError, match=rf"^mine\.yaml:{place}: "):
            read_pipeline("mine.yaml", registry)


@pytest.mark.parametrize("preset", PRESETS)
def test_large_models_are_none_of_them(preset: str, registry: Registry) -> None:
    changes = {"model.preset": preset, "train.batch_size": 64, "train.accumulation": 512}
    assert read_pipeline("names", registry, changes).model.preset == preset


def test_many_heads_are_no_long_search(registry: Registry) -> None:
    with pytest.raises(DoesNotFitError, match="numbers to learn"):
        read_pipeline("names", registry, {"model.n_head": 10**9, "model.n_embd": 10**9})


def test_without_the_bounds_they_would_be_taken(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: it is the bounds that refuse."""
    for name in ("MOST_NUMBERS", "MOST_BATCH_TOKENS", "MOST_STEP_TOKENS", "MOST_SAMPLES"):
        monkeypatch.setattr(sizes, name, 10**30)
    for key, value, _ in ABSURD:
        if key != "model.n_layer":
            read_pipeline("names", registry, {key: value})
    with pytest.raises(DoesNotFitError):
        GPT(vocab_size=3, n_layer=1001)
    monkeypatch.setattr(gpt, "MOST_LAYERS", 1001)
    assert len(GPT(vocab_size=3, n_layer=1001).block) == 1001


def test_generate_refuses_too_many_texts_before_it_looks_for_the_model() -> None:
    result = microgpt("generate", "nowhere", "-n", str(10**12))
    assert (result.exit_code, "1,000,000,000,000 texts; allowed" in result.stderr) == (4, True)
