"""What is nobody else's business stays out of what a run leaves: variables' values, the home folder, the text.

Where a path has to be kept, the places are listed here, and in docs/how-to/compare-runs.md.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import microgpt_core
from microgpt_core.pipeline.runs import provenance

VARIABLE = "canary-0a7f3e-of-a-variable"
TEXT = "canary in the text, 0a7f3e, which nobody is to see"
PATHS = ("resolved.yaml",)  # files with full paths in them: of the text, and of the model to begin with
PACK = '''
from microgpt_core.components import Unary

class Cubed(Unary):
    """x^3"""
    name = "cubed"
    def f(self, x): return x * x * x
    def df(self, x): return 3.0 * x * x
'''


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder to work in, with a name that can be looked for."""
    folder = tmp_path / "canary-home"
    (folder / "work").mkdir(parents=True)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    for name in ("AWS_SECRET_ACCESS_KEY", "MICROGPT_CANARY", "NAME"):
        monkeypatch.setenv(name, VARIABLE)
    monkeypatch.chdir(folder / "work")
    Path("text.txt").write_text(f"{TEXT}\n{TEXT.upper()}\n" * 20, encoding="utf-8")
    Path("cubed.py").write_text(PACK, encoding="utf-8")
    return folder


def microgpt(*words: str) -> str:
    """What the program says, on both streams."""
    root = Path(microgpt_core.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "microgpt_core", *words],
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1"}, encoding="utf-8", stdout=-1, stderr=-2,
    )  # fmt: skip
    return done.stdout


def run(home: Path, *more: str) -> str:
    settings = [
        "dataset={use: text, path: text.txt, document: line, validation: 0.1}", "model.n_embd=8", "train.max_steps=4",
        "train.eval_interval=2", "generate.num_samples=2", "model.activation=cubed", *more,
    ]  # fmt: skip
    words = [word for value in settings for word in ("--set", value)]
    return microgpt("run", "names", "--plugin", str(home / "work" / "cubed.py"), "-o", "run", *words)


def leaks(said: str, *canaries: str) -> list[str]:
    """Where any of these stands: in which file of the run, or in what the program said."""
    files = {path.as_posix(): path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    texts = {**files, "said": said.encode("utf-8")}
    return [name for name, data in texts.items() if any(canary.encode("utf-8") in data for canary in canaries)]


def test_a_run_leaves_nothing_that_is_secret(home: Path) -> None:
    said = run(home)
    assert "the run is in run" in said
    assert leaks(said, VARIABLE, TEXT, TEXT.upper()) == []
    assert leaks(said, str(home)) == [f"run/{name}" for name in PATHS]
    for words in (["runs", "list"], ["runs", "show", "run", "--json"], ["runs", "compare", "run", "run", "--json"]):
        assert leaks(microgpt(*words), VARIABLE, TEXT) == []


MISTAKES: dict[str, tuple[str, ...]] = {
    "infinity": ("optimizer.lr=1e300",),
    "a character that the tokenizer can't say": ("generate.prompts=[\"\u00e9\"]",),
    "a wrong key": ("train.max_step=4",),
    "a name that isn't there": ("tokenizer=bpf",),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_error_tells_nothing_that_is_secret(home: Path, mistake: str) -> None:
    said = run(home, *MISTAKES[mistake])
    assert "error" in said
    assert leaks(said, VARIABLE, TEXT) == []
    assert set(leaks(said, str(home))) <= {f"run/{name}" for name in PATHS}


PLANTED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "the variables": lambda found: found | {"environ": dict(os.environ)},
    "the text": lambda found: found | {"first": TEXT},
}


@pytest.mark.parametrize("what", PLANTED)
def test_the_canary_sees_a_leak(home: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: an environment.json with too much in it."""
    recorded = provenance.environment
    monkeypatch.setattr(microgpt_core.pipeline.api, "environment", lambda run: PLANTED[what](recorded(run)))
    overrides = {"dataset": {"use": "text", "path": "text.txt", "document": "line"}, "train.max_steps": 1}
    microgpt_core.run("names", overrides | {"stages": ["train"]}, output="run")
    assert leaks("", VARIABLE, TEXT) == ["run/environment.json"]
