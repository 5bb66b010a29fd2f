"""`microgpt export` and the stage `export`: what they write, what they say, and what they leave alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from microgpt_core.cli.main import main

PIPELINE = """
dataset: {use: names, validation: 0.01}
train: {max_steps: 3}
generate: {num_samples: 2}
export: {format: [python, json]}
stages: [train, evaluate, generate, export]
"""


def microgpt(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="microgpt")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pipeline and its run, runs/mine-1."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "mine.yaml").write_text(PIPELINE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = microgpt("run", "mine.yaml")
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture(autouse=True)
def in_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def test_the_stage_writes_each_format_and_a_second_run_nothing() -> None:
    exported = Path("runs/mine-1/export")
    assert sorted(path.name for path in exported.iterdir()) == ["model.json", "model.py"]
    before = {path: path.stat().st_mtime_ns for path in Path("runs/mine-1").rglob("*")}
    again = microgpt("run", "mine.yaml")
    for stage in ("train", "evaluate", "generate", "export"):
        assert f"{stage}: done already" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_format_exports_again_and_trains_no_more() -> None:
    again = microgpt("run", "mine.yaml", "--set", "export.format=safetensors")
    assert "train: done already" in again.stderr
    assert "exported to " in again.stderr
    assert [path.name for path in Path("runs/mine-1/export").iterdir()] == ["model"]


def test_a_format_by_its_place_is_told_its_option() -> None:
    result = microgpt("export", "mine-1", "json")
    assert (result.exit_code, "--format json" in result.stderr) == (2, True)
    assert not list(Path().glob("*.json"))


@pytest.mark.parametrize("model", ["runs/mine-1", "mine-1", "latest", "runs/mine-1/model"])
def test_where_it_goes_by_default(model: str) -> None:
    name = "model.py" if model.endswith("model") else "mine-1.py"
    assert microgpt("export", model, "--force").stdout == f"{name}  {Path(name).stat().st_size:,} bytes\n"


def test_the_program_writes_what_generate_writes() -> None:
    microgpt("export", "mine-1", "-o", "writer.py")
    expected = microgpt("generate", "mine-1", "-p", "em", "--seed", "7", "-n", "3").stdout
    command = [sys.executable, "-I", "-S", "writer.py", "em", "--seed", "7", "-n", "3"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert (done.stdout, done.stderr) == (expected, "")


def test_an_exported_file_is_a_model_too() -> None:
    about = json.loads(microgpt("export", "mine-1", "-f", "json", "-o", "mine.json", "--json").stdout)
    assert about == {"path": "mine.json", "format": "json", "bytes": Path("mine.json").stat().st_size}
    written = [microgpt("generate", model, "--seed", "7").stdout for model in ("mine.json", "mine-1")]
    assert written[0] == written[1] != ""
    assert microgpt("export", "mine.json", "-f", "safetensors", "-o", "mine").exit_code == 0
    assert Path("mine/model.safetensors").read_bytes() == Path("runs/mine-1/model/model.safetensors").read_bytes()
    assert "isn't a run, so nothing was held out" in microgpt("evaluate", "mine.json").stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nothing-1"], 2, "no such run or model folder"),
        (["mine-1", "-f", "jsno"], 2, "did you mean 'json'?"),
        (["mine-1", "-o", "nowhere/x.py"], 1, "there is no folder nowhere"),
        (["mine-1", "-o", "mine.yaml"], 2, "mine.yaml exists already"),
        (["mine-1", "-o", "runs", "--force"], 2, "--force won't replace it"),
    ],
)
def test_mistakes_of_a_command(args: list[str], code: int, message: str) -> None:
    result = microgpt("export", *args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("export.format=pyton", "export.format: unknown format 'pyton' (did you mean 'python'?)"),
        ("export.format=[python, jsn]", "export.format[1]: unknown format 'jsn' (did you mean 'json'?)"),
        ("export.format=3", "export.format: expected"),
        ("export.form=json", "did you mean 'format'?"),
        ("stages=[export, train]", "'export' builds on 'train', which comes after it"),
    ],
)
def test_mistakes_of_a_pipeline(setting: str, message: str) -> None:
    result = microgpt("run", "mine.yaml", "--set", setting)
    assert result.exit_code == 2
    assert message in result.stderr
