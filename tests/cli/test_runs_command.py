"""`runs list`, `show`, `compare` and `reproduce`: what they print, and with which exit code."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from microgpt_core.cli.main import main
from microgpt_core.cli.runs import some
from microgpt_core.cli.sparkline import sparkline
from microgpt_core.storage.lock import locked

TINY = [
    "dataset={use: text, path: text.txt, document: line, validation: 0.1}", "model.n_embd=8", "train.max_steps=6",
    "train.eval_interval=2", "train.batch_size=2", "generate.num_samples=2", "generate.max_new_tokens=3",
]  # fmt: skip


def microgpt(*args: str) -> Result:
    result = CliRunner().invoke(main, list(args), prog_name="microgpt")
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("text.txt").write_text("one line\nanother\nand a third one\n" * 9, encoding="utf-8")
        for seed in ("seed=1", "seed=2"):
            words = [word for value in (*TINY, seed) for word in ("--set", value)]
            assert microgpt("run", "names", *words).exit_code == 0
    return folder


@pytest.fixture(autouse=True)
def copy(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def test_a_list_of_runs() -> None:
    lines = microgpt("runs", "list").stdout.splitlines()
    assert " ".join(lines[0].split()) == "run began state steps val loss tokens time backend parameters"
    assert [line.split()[0] for line in lines[1:]] == ["names-2", "names-1"]
    found = json.loads(microgpt("runs", "list", "--json").stdout)
    for line, record in zip(lines[1:], found):
        assert re.search(rf" finished +6 +{record['val_loss']:.4f} +{record['tokens']} .* reference ", line)
        assert line.endswith(f"  {record['parameters']:,}")
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", line)


def test_no_run_yet() -> None:
    shutil.rmtree("runs")
    result = microgpt("runs", "list")
    assert (result.exit_code, result.stdout) == (0, "there is no run in ./runs yet; make one: microgpt run names\n")
    assert json.loads(microgpt("runs", "list", "--json").stdout) == []


def test_running_stopped_and_damaged_ones() -> None:
    shutil.copytree("runs/names-1", "runs/stopped")
    Path("runs/stopped/stages.json").unlink()
    shutil.copytree("runs/names-1", "runs/broken")
    Path("runs/broken/stages.json").write_text("{", encoding="utf-8")
    Path("runs/empty").mkdir()
    with locked(Path("runs/names-2")):
        result = microgpt("runs", "list")
    states = {line.split()[0]: re.split(r"  +", line)[2] for line in result.stdout.splitlines()[1:]}
    assert states == {
        "names-1": "finished", "names-2": "running", "stopped": "stopped at step 6", "broken": "damaged",
        "empty": "damaged",
    }  # fmt: skip
    assert "broken: runs" in result.stderr
    assert "stages.json: this isn't JSON" in result.stderr
    assert "empty: it has no resolved.yaml" in result.stderr
    assert result.exit_code == 0
    for name in ("broken", "empty"):
        assert microgpt("runs", "show", name).exit_code == 0
        assert microgpt("runs", "compare", name, "names-1").exit_code == 0
        assert microgpt("runs", "reproduce", name).exit_code == 2


def test_of_many_runs_the_newest() -> None:
    for n in range(3, 26):
        shutil.copytree("runs/names-1", f"runs/names-{n}")
    lines = microgpt("runs", "list").stdout.splitlines()
    assert len(lines) == 1 + 20 + 1
    assert lines[-1] == "... and 5 older: --all"
    assert len(microgpt("runs", "list", "--all").stdout.splitlines()) == 1 + 25
    assert len(json.loads(microgpt("runs", "list", "--json").stdout)) == 25


def test_show_says_what_it_is_and_what_came_of_it() -> None:
    shown = microgpt("runs", "show", "names-2").stdout
    samples = Path("runs/names-2/samples.txt").read_text(encoding="utf-8").splitlines()
    order = [
        "names-2: finished, began", "settings that aren't the defaults", "seed", "2", "model.n_embd", "where it ran",
        "code ", "core ", "what the stages gave", "train ", "evaluate ", "generate", "2 texts", "train/loss  ",
        "val/loss  ", "step  train/loss", "best ", "whole", "step-000006", "whole", "samples", *samples, "next",
        "microgpt generate runs",
    ]  # fmt: skip
    at = 0
    for text in order:
        assert text in shown[at:], text
        at = shown.index(text, at)
    found = json.loads(microgpt("runs", "show", "latest", "--json").stdout)
    assert found["settings"]["seed"] == 2
    assert len(found["metrics"]) == 6


def test_show_tells_how_a_run_went_on() -> None:
    Path("runs/names-1/checkpoints/step-000006/config.json").write_text("{", encoding="utf-8")
    assert microgpt("run", "--resume", "runs/names-2", "--set", "train.max_steps=7").exit_code == 0
    shown = microgpt("runs", "show", "names-2").stdout
    assert re.search(r"changed after step 6, then and now\n  train\.max_steps +6, 7\n", shown)
    assert "microgpt runs reproduce" not in shown
    assert "microgpt runs reproduce" in microgpt("runs", "show", "names-1").stdout  # the control
    refused = microgpt("runs", "reproduce", "names-2")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "names-2 went on after step 6 with other train.max_steps, so no run from the first step" in refused.stderr
    assert re.search(r"step-000006 .*config\.json", microgpt("runs", "show", "names-1").stdout)


def test_compare_shows_what_differs_and_who_is_better() -> None:
    result = microgpt("runs", "compare", "names-1", "names-2")
    assert result.stdout.startswith("settings\n      names-1  names-2\nseed  1        2\n\nenvironment: the same\n")
    assert re.search(r"\nval/loss at step  names-1  names-2\n2 .*\n4 .*\n6 ", result.stdout)
    found = json.loads(microgpt("runs", "compare", "names-1", "names-2", "--json").stdout)
    best = sorted(run["val_loss"] for run in found["runs"])
    assert f"\n{found['better']} is better by {best[1] - best[0]:.4f} nats, perplexity " in result.stdout


def verdict(*runs: str) -> str:
    return microgpt("runs", "compare", *runs).stdout.splitlines()[-1]


def test_compare_says_whether_the_bits_are_the_same() -> None:
    shutil.copytree("runs/names-1", "runs/twin")
    assert verdict("names-1", "twin") == "the models are the same, to the bit"
    path = Path("runs/twin/model/model.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x77")
    assert verdict("names-1", "twin") == (
        "the models differ, though settings, text and code are the same: another machine, or damage"
    )
    path.unlink()
    assert verdict("names-1", "twin") == "all have the same best loss"
    environment = Path("runs/twin/environment.json")
    environment.write_text(environment.read_text(encoding="utf-8").replace('"data": "', '"data": "0'), encoding="utf-8")
    assert verdict("names-1", "twin") == "the losses are of different text or tokens, so they don't say which is better"


def test_compare_says_which_run_went_on_otherwise() -> None:
    assert microgpt("run", "--resume", "runs/names-2", "--set", "train.max_steps=8").exit_code == 0
    plain = [word for value in (*TINY, "seed=2", "train.max_steps=8") for word in ("--set", value)]
    assert "done already" not in microgpt("run", "names", *plain, "--set", "stages=[train]").output
    shown = microgpt("runs", "compare", "names-2", "names-3").stdout
    assert "\nenvironment: the same\n" in shown
    assert "\nnames-2 went on after step 6 with other train.max_steps, so it isn't what a run from" in shown
    assert "the models differ, though" not in shown


def test_reproduce_says_what_is_the_same() -> None:
    result = microgpt("runs", "reproduce", "names-1")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        f"{name:<23}  the same"
        for name in (
            "metrics.jsonl", "model/model.safetensors", "model/tokenizer.json", "evaluation.json", "samples.txt"
        )
    ] + ["", "all is the same, to the bit"]  # fmt: skip


def test_reproduce_exits_with_5_where_bits_differ() -> None:
    path = Path("runs/names-1/metrics.jsonl")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines[2]["train/loss"] = 1.25
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    result = microgpt("runs", "reproduce", "names-1", "--json", "-o", "again")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["same"], found["folder"]) == (5, False, "again")
    assert found["differences"]["metrics.jsonl"].startswith("step 3: train/loss was 1.25, is ")
    assert microgpt("runs", "reproduce", "names-1").stdout.splitlines()[-1] == "not the same: metrics.jsonl"


MISTAKES = [
    (["show", "nothing"], "no such run or model folder"),
    (["compare", "names-1"], "expected two runs or more"),
    (["compare", "names-1", "nothing"], "no such run or model folder"),
    (["reproduce", "nothing"], "no such run or model folder"),
    (["reproduce", "names-1", "-o", "runs/names-2"], "exists already"),
]


@pytest.mark.parametrize(("args", "said"), MISTAKES)
def test_mistakes(args: list[str], said: str) -> None:
    result = microgpt("runs", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize(
    ("incomplete", "expected"), [("", ["latest", "names-2", "names-1"]), ("l", ["latest"]), ("x", [])]
)
def test_a_shell_completes_names(incomplete: str, expected: list[str]) -> None:
    shell = ShellComplete(main, {}, "microgpt", "_MICROGPT_COMPLETE")
    for words in (["show"], ["compare", "names-1"], ["reproduce"]):
        assert [item.value for item in shell.get_completions(["runs", *words], incomplete)] == expected


SPARKS = [
    ([], "utf-8", ""),
    ([1.0], "utf-8", "▁"),
    ([2.0, 2.0], "utf-8", "▁▁"),
    ([8, 7, 6, 5, 4, 3, 2, 1], "UTF-8", "█▇▆▅▄▃▂▁"),
    ([1, 8], "ascii", "_@"),
    ([1, 8], "cp1252", "_@"),
    ([1, 8], None, "_@"),
    ([0.0] * 30 + [1.0] * 30, "utf-8", "▁▁▁▁▁█████"),
]


@pytest.mark.parametrize(("values", "encoding", "expected"), SPARKS)
def test_sparklines(values: list[float], encoding: str | None, expected: str) -> None:
    assert sparkline(values, 10, encoding) == expected


@pytest.mark.parametrize(
    ("n", "expected"), [(0, []), (3, [1, 2, 3]), (20, list(range(2, 21, 2))), (11, [1, 2, 3, 4, 5, 6, 7, 8, 9, 11])]
)
def test_of_many_rows_some(n: int, expected: list[int]) -> None:
    assert some(range(1, n + 1)) == expected
