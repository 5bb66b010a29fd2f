"""`microgpt plan --dot` and `--svg`: what goes where, what is refused, and that the picture in the docs is today's."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from microgpt_core.cli.main import main

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "block.svg"
COMMAND = "plan names --vocab-size 27 --svg"


def microgpt(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="microgpt")


def test_the_picture_of_the_docs_is_what_the_command_draws(tmp_path: Path) -> None:
    result = microgpt(*COMMAND.split(), str(tmp_path / "block.svg"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "block.0" in result.stderr
    assert (tmp_path / "block.svg").read_text(encoding="utf-8") == PICTURE.read_text(encoding="utf-8"), (
        f"the block has changed; draw it again: python -m microgpt_core {COMMAND} docs/images/block.svg"
    )


def test_dot_is_all_that_stdout_has() -> None:
    result = microgpt("plan", "names", "--vocab-size", "27", "--dot", "--scope", "block.0.mlp")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith('digraph "block.0.mlp" {\n')
    assert result.stdout.endswith("}\n")


def test_json_and_a_picture_at_once(tmp_path: Path) -> None:
    svg = tmp_path / "lm_head.svg"
    result = microgpt("plan", "names", "--vocab-size", "27", "--json", "--scope", "lm_head", "--svg", str(svg))
    assert json.loads(result.stdout)["parameters"]
    assert svg.read_text(encoding="utf-8").startswith("<svg ")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--dot", "--json"], 2, "--dot and --json"),
        (["--dot", "--scope", "blok.0"], 2, "did you mean 'block.0'"),
        (["--svg", "."], 2, "is a directory"),
        (["--svg", "nowhere/block.svg"], 1, "can't save nowhere"),
    ],
)
def test_what_is_refused(
    args: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = microgpt("plan", "names", "--vocab-size", "27", *args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert not list(tmp_path.iterdir())
