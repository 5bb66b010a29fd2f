"""The examples of docs/examples: each is right, says how it is run, and runs in reduced form."""

import importlib.util
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import microgpt_core as mg
from microgpt_core.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "examples"
NUMPY = ROOT / "plugins" / "microgpt-numpy"

SHORT = ["train.max_steps=2", "train.eval_batches=1", "generate.num_samples=1", "generate.max_new_tokens=3"]
SMALL = ["dataset.validation=0.001", "model.n_layer=1", "model.n_embd=16"]
REDUCED = {  # what else to set
    "names": [],
    "llama": ["dataset.validation=0.01"],
    "gpt2": SMALL,
    "fine-tune": [],
    "numpy": ["dataset.validation=0.01"],
    "deeper": ["dataset.validation=0.01"],
    "watch": ["dataset.validation=0.01", "analyzers=[{use: attention_norms, every: 1}]"],
    "overnight": SMALL,
}


def microgpt(*args: str) -> Result:
    return CliRunner().invoke(main, args, prog_name="microgpt")


def options(name: str) -> list[str]:
    return ["--plugin", str(FOLDER / "attention_norms.py")] if name == "watch" else []


@pytest.fixture
def ready(name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What an example needs to be there."""
    monkeypatch.chdir(tmp_path)
    if name in ("gpt2", "overnight"):
        request.getfixturevalue("tinyshakespeare")
    if name == "numpy":
        install_numpy(tmp_path / "site", monkeypatch)
    if name == "fine-tune":
        mg.run("names", {"train.max_steps": 1, "train.eval_interval": 0, "stages": ["train"]})
    return str(FOLDER / f"{name}.yaml")


def install_numpy(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pack of this clone, as if it were installed."""
    if importlib.util.find_spec("numpy") is None:
        pytest.skip("NumPy isn't installed")
    if importlib.util.find_spec("microgpt_numpy") is None:
        info = site / "microgpt_numpy-0.1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Name: microgpt-numpy\nVersion: 0.1\n", encoding="utf-8")
        entry = "[microgpt.plugins.v1]\nnumpy = microgpt_numpy.plugin\n"
        (info / "entry_points.txt").write_text(entry, encoding="utf-8")
        monkeypatch.syspath_prepend(NUMPY)
        monkeypatch.syspath_prepend(site)


def test_the_table_has_every_example() -> None:
    assert sorted(REDUCED) == sorted(file.stem for file in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", REDUCED)
def test_an_example_says_how_it_is_run(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert f"docs/examples/{name}.yaml" in text.partition("\n\n")[0]


@pytest.mark.parametrize("name", REDUCED)
def test_an_example_is_right_and_runs(name: str, ready: str) -> None:
    checked = microgpt("check", ready, *options(name))
    assert checked.exit_code == 0, checked.output
    assert " is right: gpt of " in checked.stdout
    sets = [word for override in [*SHORT, *REDUCED[name]] for word in ("--set", override)]
    result = microgpt("run", ready, "--output", "made", *sets, *options(name))
    assert result.exit_code == 0, result.output
    assert (Path("made") / "model" / "config.json").is_file()
    if name == "watch":
        assert '"block.0.attention"' in (Path("made") / "analysis.json").read_text(encoding="utf-8")
