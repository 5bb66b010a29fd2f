"""A pipeline is data: whatever it names, nothing runs that no registered name leads to."""

import sys
from pathlib import Path

import pytest

import microgpt_core as mg
from microgpt_core.errors import ConfigurationError

EVIL = """
from pathlib import Path
Path("ran").write_text("x", encoding="utf-8")
from microgpt_core.components import Tokenizer
class Evil(Tokenizer):
    name = "evil"
"""
SPELLINGS = [
    "./evil_file.py", "evil_file.py", "evil_file", "evil_file:Evil", "evil_file.Evil", "evil_file/evil",
    "file://evil_file.py", "microgpt_core.text.char:Char", "os:system", "../evil_file.py@1",
]  # fmt: skip
PLACES = [
    "tokenizer: '{}'", "dataset: '{}'", "dataset: {{use: '{}'}}", "model: '{}'", "model: {{activation: '{}'}}",
    "optimizer: '{}'", "schedule: '{}'", "analyzers: ['{}']", "stages: ['{}']", "backend: '{}'", "backend: ['{}']",
    "kernels: {{linear: '{}'}}", "kernels: {{'{}': reference}}", "plugins: ['{}']",
]  # fmt: skip
CUBED = """from microgpt_core import Unary

class Cubed(Unary):
    name = "cubed"
    def f(self, x): return x * x * x
    def df(self, x): return 3.0 * x * x
"""
TAGS = [
    "tokenizer: !!python/object/apply:os.system ['touch ran']",
    "name: !!python/name:evil_file.Evil ''",
    "name: !!python/module:evil_file ''",
    "seed: !evil 3",
]


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil_file.py").write_text(EVIL, encoding="utf-8")
    return tmp_path / "pipeline.yaml"


@pytest.mark.parametrize("text", [*(p.format(s) for p in PLACES for s in SPELLINGS), *TAGS])
def test_naming_code_is_an_error_and_runs_nothing(text: str, pipeline: Path) -> None:
    pipeline.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError):
        mg.run(pipeline)
    assert not Path("ran").exists()
    assert "evil_file" not in sys.modules
    assert not Path("runs").exists()


def test_a_file_that_was_named_to_the_program_is_run(pipeline: Path) -> None:
    """The control: the same file, by consent."""
    pipeline.write_text("tokenizer: evil", encoding="utf-8")
    with pytest.raises(NotImplementedError):  # all that the file's tokenizer can
        mg.run(pipeline, plugins=["evil_file.py"])
    assert Path("ran").exists()


def test_a_file_among_the_plugins_is_told_how_to_be_named(pipeline: Path) -> None:
    pipeline.write_text("plugins: [./evil_file.py]", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="a pipeline runs none unasked; name it on the command line: --plugin"):
        mg.run(pipeline)


def test_a_file_that_a_pipeline_names_is_run_where_that_is_allowed(pipeline: Path) -> None:
    """Found beside the pipeline; a run of it is allowed to go on with it only by the same word."""
    pipeline.parent.joinpath("cubed.py").write_text(CUBED, encoding="utf-8")
    text = "plugins: [./cubed.py]\nmodel: {activation: cubed}\ntrain: {max_steps: 1}\nstages: [train]\n"
    pipeline.write_text(text, encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match=r"--plugin ./cubed\.py, or allow what the pipeline names: --allow-code"
    ):
        mg.run(pipeline)
    made = mg.run(pipeline, plugins=[mg.AllowCode()])
    assert made.network.config()["activation"] == "cubed"
    assert str(pipeline.parent / "cubed.py") in (made.folder / "resolved.yaml").read_text(encoding="utf-8")
    with pytest.raises(ConfigurationError, match="--allow-code"):
        mg.resume(made.folder, {"train.max_steps": 2})
    assert mg.resume(made.folder, {"train.max_steps": 2}, plugins=[mg.AllowCode()]).result.steps == 2


def test_a_file_that_is_allowed_and_broken_is_told_at_its_place(pipeline: Path) -> None:
    pipeline.write_text("plugins: [./broken.py]", encoding="utf-8")
    pipeline.parent.joinpath("broken.py").write_text("1 / 0", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"pipeline\.yaml:1:11: .*broken\.py:1: ZeroDivisionError"):
        mg.run(pipeline, plugins=[mg.AllowCode()])
