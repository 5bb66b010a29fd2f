"""A run done again gives the same bits; where it doesn't, the first that differs is named, and why it may."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.errors import ConfigurationError, Interrupted
from microgpt_core.pipeline.runs import code, provenance
from microgpt_core.pipeline.runs.run import Reporter
from microgpt_core.training.loss import BatchLoss

TINY = {
    "dataset": {"use": "text", "path": "text.txt", "document": "line", "validation": 0.1}, "model.n_embd": 8,
    "train.max_steps": 6, "train.eval_interval": 2, "train.checkpoint_interval": 3, "train.batch_size": 2,
    "generate.num_samples": 2, "generate.max_new_tokens": 3,
}  # fmt: skip
TEXT = "one line\nanother\nand a third one\n" * 9
OP = '''
from microgpt_core.components import Unary

class Cubed(Unary):
    """x^3"""
    name = "cubed"
    def f(self, x): return x * x * x
    def df(self, x): return 3.0 * x * x
'''
RESULTS = ["metrics.jsonl", "model/model.safetensors", "model/tokenizer.json", "evaluation.json", "samples.txt"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reproduce")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("text.txt").write_text(TEXT, encoding="utf-8")
        mg.run("names", TINY, output="run")
    return folder


@pytest.fixture(autouse=True)
def copy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the run, with its text beside it; temporary folders come beside it too."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    resolved = tmp_path / "run" / "resolved.yaml"
    text = re.sub(r"path: .*", "path: text.txt", resolved.read_text(encoding="utf-8"))
    resolved.write_text(text.replace("path: text.txt", f"path: {json.dumps(str(tmp_path / 'text.txt'))}"), "utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


class Listener(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def headline(self, text: str) -> None:
        self.lines.append(text)


def record(**changes: Any) -> None:
    """Change what was recorded of where the run was made."""
    path = Path("run", "environment.json")
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({k: v for k, v in (data | changes).items() if v is not None}), encoding="utf-8")


def test_a_run_gives_the_same_bits_again_and_leaves_nothing() -> None:
    before = sorted(Path().rglob("*"))
    found = mg.reproduce("run")
    assert found
    assert list(found.differences) == RESULTS
    assert (found.folder, found.environment, found.warnings) == (None, {}, [])
    assert sorted(Path().rglob("*")) == before
    assert found.to_dict() | {"environment": 0, "differences": 0} == {
        "same": True, "run": "run", "folder": None, "environment": 0, "warnings": [], "differences": 0
    }  # fmt: skip


def test_the_second_run_can_be_kept() -> None:
    assert mg.reproduce("run", output="again")
    assert mg.reproduce("again")
    with pytest.raises(ConfigurationError, match="again exists already"):
        mg.reproduce("run", output="again")


def line_of(name: str, step: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = Path("run", name)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines[step - 1] = change(lines[step - 1])
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def flip(name: str) -> None:
    data = bytearray(Path("run", name).read_bytes())
    data[-1] ^= 1
    Path("run", name).write_bytes(data)


def cut(name: str) -> None:
    lines = Path("run", name).read_bytes().splitlines(keepends=True)
    Path("run", name).write_bytes(b"".join(lines[:-1]))


# What is done to a run -> the file that shows it, and what is said.
DAMAGE: list[tuple[Callable[[], object], str, str]] = [
    (lambda: line_of("metrics.jsonl", 3, lambda m: m | {"train/loss": 1.5}), "metrics.jsonl",
     r"step 3: train/loss was 1\.5, is \d\.\d+"),
    (lambda: line_of("metrics.jsonl", 4, lambda m: m | {"lr": 0, "val/loss": 2}), "metrics.jsonl",
     r"step 4: val/loss was 2, is \d\.\d+, lr was 0, is 0\.\d+"),
    (lambda: line_of("metrics.jsonl", 3, lambda m: m | {"val/loss": 2}), "metrics.jsonl",
     r"step 3: val/loss was 2, is not there"),
    (lambda: line_of("metrics.jsonl", 3, lambda m: {k: v for k, v in m.items() if k != "lr"}), "metrics.jsonl",
     r"step 3: lr was not there, is \d\.\d+"),
    (lambda: cut("metrics.jsonl"), "metrics.jsonl", "line 6 is only in the second run"),
    (lambda: flip("model/model.safetensors"), "model/model.safetensors", "SHA-256 was [0-9a-f]{64}, is [0-9a-f]{64}"),
    (lambda: cut("samples.txt"), "samples.txt", "line 2 is only in the second run"),
    (lambda: flip("evaluation.json"), "evaluation.json", "line 5 was .*, is .*"),
    (lambda: Path("run", "samples.txt").unlink(), "samples.txt", r"there is no run.samples\.txt"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "name", "said"), DAMAGE)
def test_one_difference_is_seen_and_named(damage: Callable[[], object], name: str, said: str) -> None:
    damage()
    found = mg.reproduce("run")
    assert not found
    assert [file for file, what in found.differences.items() if what] == [name]
    assert re.fullmatch(said, found.differences[name])


def test_a_text_that_has_changed_is_told_first() -> None:
    Path("text.txt").write_text(TEXT.replace("third one", "third lie", 1), encoding="utf-8")
    listener = Listener()
    found = mg.reproduce("run", reporter=listener)
    assert re.fullmatch(r"warning: the text was \w{12}\.\.\., is \w{12}\.\.\.", listener.lines[0])
    assert list(found.environment) == ["data"]
    assert found.differences["metrics.jsonl"].startswith("step ")


CHANGES = [
    ({"code": {"core": "0" * 64}}, ["code.core"]),
    ({"code": {"core": "0" * 64}, "packs": {"core": "microgpt-core 0.0"}}, ["packs.core", "code.core"]),
    ({"packs": {"core": "microgpt-core 0.0", "other": "microgpt-other 3"}}, []),  # of the same code, and unused
    ({"python": "3.9.1"}, ["python"]),
    ({"machine": "z80", "cpu": "Z80"}, ["machine", "cpu"]),
    ({"dependencies": {"click": "1.0", "rich": "0.1"}}, []),  # no number depends on them
    ({"code": None, "data": None, "python": None}, []),  # an older run, that recorded less
    ({"git": {"commit": "0" * 40, "changed": True}}, []),
]


@pytest.mark.parametrize(("recorded", "expected"), CHANGES)
def test_what_isnt_as_it_was_recorded(recorded: dict[str, Any], expected: list[str]) -> None:
    record(**recorded)
    found = mg.reproduce("run")
    assert sorted(found.environment) == sorted(expected)
    assert len(found.warnings) == len(expected)
    assert found  # the bits are the same nevertheless


def test_of_python_only_the_minor_version_matters() -> None:
    minor = ".".join(provenance.platform.python_version_tuple()[:2])
    record(python=f"{minor}.999")
    assert mg.reproduce("run").warnings == []


def test_code_that_has_changed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "folder_digest", lambda *args: "another core")
    assert list(mg.reproduce("run").environment) == ["code.core"]


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (
            "microgpt-fast 1.2",
            r"'fast' \(microgpt-fast 1\.2\), which isn't here.*: microgpt plugins install microgpt-fast==",
        ),
        ("fast.py", r"the pack 'fast' \(fast\.py\), which isn't here.*--plugin fast\.py"),
    ],
)
def test_a_missing_pack_is_an_error_that_says_how_to_get_it(origin: str, said: str) -> None:
    record(code={"core": "0", "fast": "1"}, packs={"fast": origin})
    with pytest.raises(ConfigurationError, match=said):
        mg.reproduce("run")


def test_a_pack_in_a_file_is_named_again() -> None:
    Path("my").mkdir()
    Path("my", "cubed.py").write_text(OP, encoding="utf-8")
    mg.run("names", TINY | {"model.activation": "cubed"}, output="with-op", plugins=["my/cubed.py"])
    with pytest.raises(
        ConfigurationError, match=r"'cubed' \(cubed\.py\), which isn't here; name it: --plugin cubed\.py"
    ):
        mg.reproduce("with-op")
    assert mg.reproduce("with-op", plugins=["my/cubed.py"]).warnings == []
    Path("my", "cubed.py").write_text(OP.replace("3.0", "2.0"), encoding="utf-8")
    found = mg.reproduce("with-op", plugins=["my/cubed.py"])
    assert list(found.environment) == ["code.cubed"]
    assert not found


def test_a_run_that_isnt_finished_has_nothing_to_compare_with() -> None:
    Path("run", "stages.json").unlink()
    with pytest.raises(ConfigurationError, match="run is stopped, so there is nothing to compare with"):
        mg.reproduce("run")
    Path("run", "resolved.yaml").unlink()
    with pytest.raises(ConfigurationError, match="run is damaged"):
        mg.reproduce("run")


def test_a_run_that_went_on_otherwise_says_since_when() -> None:
    mg.resume("run", {"train.max_steps": 8, "schedule": "constant"})
    note = json.loads(Path("run", "environment.json").read_text(encoding="utf-8"))["resumed"]
    assert [(one["step"], one["environment"]) for one in note] == [(6, {})]
    assert {"train.max_steps": [6, 8], "schedule.use": ["cosine", "constant"]}.items() <= note[0]["settings"].items()
    with pytest.raises(
        ConfigurationError, match=r"run went on after step 6 with other .*schedule\.use.*resolved\.yaml"
    ):
        mg.reproduce("run", output="again")
    assert not Path("again").exists()


def test_going_on_in_other_surroundings_is_told_at_once() -> None:
    record(python="2.7.18", cpu="Z80", dependencies={"rich": "0.1"})
    listener = Listener()
    mg.resume("run", {"train.max_steps": 7}, reporter=listener)
    told = [line for line in listener.lines if line.startswith("warning: ")]
    assert [line.partition(", is")[0] for line in told] == [
        "warning: since step 6: python was 2.7.18", "warning: since step 6: cpu was Z80"
    ]  # fmt: skip


def test_going_on_as_before_changes_nothing_that_is_recorded() -> None:
    before = Path("run", "environment.json").read_bytes()
    mg.resume("run")
    mg.resume("run", {"generate.num_samples": 1})  # training is done
    assert Path("run", "environment.json").read_bytes() == before
    assert mg.reproduce("run")


def test_a_run_that_time_ended_may_have_other_steps() -> None:
    mg.run("names", TINY | {"train.max_steps": 2, "train.minutes": 5.0}, output="timed")
    assert "train.minutes" in mg.reproduce("timed").warnings[0]


def test_backends_are_those_that_were_there() -> None:
    record(backends=["reference"])
    mg.reproduce("run", output="again")
    assert "backend: [reference]" in Path("again", "resolved.yaml").read_text(encoding="utf-8")


def test_a_signal_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = BatchLoss.train
    monkeypatch.setattr(BatchLoss, "train", lambda *args: [signal.raise_signal(signal.SIGINT), trained(*args)][1])
    with pytest.raises(Interrupted, match="nothing of the second run is kept"):
        mg.reproduce("run")
    assert not list(Path("temporary").iterdir())
    with pytest.raises(Interrupted, match="--resume again"):
        mg.reproduce("run", output="again")


def git(*words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@e", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], check=True, capture_output=True, encoding="utf-8").stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
def test_the_commit_of_the_pipelines_folder() -> None:
    assert provenance.git_state(Path()) is None
    git("init", "-q")
    assert provenance.git_state(Path()) == {"commit": "(initial)", "changed": False}
    git("add", "text.txt")
    git("commit", "-qm", "text")
    git("remote", "add", "origin", "https://somebody:canary-password@example.org/x.git")
    git("config", "core.fsmonitor", "echo ran > fsmonitor-ran; false")
    assert provenance.git_state(Path()) == {"commit": git("rev-parse", "HEAD"), "changed": False}
    Path("text.txt").write_text(TEXT + "more\n", encoding="utf-8")
    ran = Path("fsmonitor-ran")
    git("status")
    assert ran.exists()  # so it would be seen
    ran.unlink()
    mg.run("names", TINY | {"train.max_steps": 1}, output="in-git")
    recorded = json.loads(Path("in-git", "environment.json").read_text(encoding="utf-8"))
    assert recorded["git"] == {"commit": git("rev-parse", "HEAD"), "changed": True}
    assert not ran.exists()
    assert "canary-password" not in json.dumps(recorded)


def filter_runs(look: Callable[[], object]) -> bool:
    """Whether a filter that a repository's configuration names is run by this."""
    os.utime("text.txt")  # so that only its content can tell whether it has changed
    look()
    ran = Path("filter-ran")
    found = ran.exists()
    ran.unlink(missing_ok=True)
    return found


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
@pytest.mark.parametrize("kind", ["clean", "process"])
@pytest.mark.parametrize("name", ["x", "x.y", "a=b"])
def test_what_a_repository_would_have_run_isnt_run(name: str, kind: str) -> None:
    git("init", "-q")
    Path(".gitattributes").write_text(f"*.txt filter={name}\n", encoding="utf-8")
    git("add", "text.txt", ".gitattributes")
    git("commit", "-qm", "text")
    with Path(".git", "config").open("a", encoding="utf-8", newline="\n") as file:
        file.write(f'[filter "{name}"]\n\t{kind} = "echo ran > filter-ran; cat"\n')
    commit = git("rev-parse", "HEAD")
    expected = None if "=" in name else {"commit": commit, "changed": False}
    found: list[Any] = []
    assert not filter_runs(lambda: found.append(provenance.git_state(Path())))
    assert found == [expected]
    if name != "a=b":  # what an attribute can't name either
        assert filter_runs(lambda: subprocess.run(["git", "status"], check=False, capture_output=True))  # the control


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance.git_state(Path()) is None


def test_a_git_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*args: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired("git", options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    assert provenance.git_state(Path()) is None
