"""`run`: what it refuses to combine, and what it ends with."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from microgpt_core.cli.main import main

TINY = ["--set", "train.max_steps=2", "--set", "model.n_embd=8", "--set", "dataset.validation=0.01", "--set",
        "generate.num_samples=1"]  # fmt: skip


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def microgpt(*args: str) -> Result:
    result = CliRunner().invoke(main, ["run", *args], prog_name="microgpt")
    assert "Traceback" not in result.output
    return result


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["names"], "--resume takes no PIPELINE, since latest has its own; leave out names"),
        (["--output", "x"], "expected PIPELINE, or --resume DIR without --output and --dry-run"),
        (["--dry-run"], "expected PIPELINE, or --resume DIR without --output and --dry-run"),
    ],
)
def test_what_a_resumption_doesnt_take(more: list[str], said: str) -> None:
    result = microgpt("--resume", "latest", *more)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(("stages", "hint"), [("train", True), ("generate", False), ("evaluate,export", False)])
def test_the_hint_at_its_end_names_a_model_only_where_there_is_one(stages: str, hint: bool) -> None:
    result = microgpt("names", *TINY, "--set", f"stages=[{stages}]", "--output", "mine")
    assert result.exit_code == 0
    last = "the run is in mine" + ("; more like this: microgpt generate mine" if hint else "")
    assert result.stderr.splitlines()[-1] == last
    assert ("its weights are as they were drawn" in result.stderr) == (not hint)


def test_a_resumption_from_a_stage() -> None:
    microgpt("names", *TINY, "--output", "mine")
    result = microgpt("--resume", "mine", "--from", "generate")
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.stderr.splitlines() if "done already" in line] == [
        "train",
        "evaluate",
    ]
    assert "--from train: to train again is a new run" in microgpt("--resume", "mine", "--from", "train").stderr


def test_paths_in_hints_can_be_pasted() -> None:
    """A folder with a space in its name is in quotes wherever a command is proposed."""
    assert 'microgpt generate "my run"' in microgpt("names", *TINY, "-o", "my run").stderr
    assert '--resume "my run"' in microgpt("names", *TINY, "-o", "my run", "--set", "seed=2").stderr
    assert 'microgpt runs reproduce "my run"' in CliRunner().invoke(main, ["runs", "show", "my run"]).stdout
