"""`run`, `plan`, `generate` and `evaluate`: what goes to stdout, what to stderr, and with which exit code."""

import json
import pstats
import shutil
from dataclasses import replace
from math import log
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import microgpt_core as mg
from microgpt_core.cli.main import main
from microgpt_core.cli.progress import ConsoleReporter, describe, duration
from microgpt_core.ops.sample import probabilities
from microgpt_core.training.progress import Step

SHORT = ["--set", "train.max_steps=3", "--set", "generate.num_samples=2", "--set", "dataset.validation=0.01"]


def microgpt(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="microgpt")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("cli") / "run"
    result = microgpt("run", "names", "-o", str(folder), *SHORT)
    assert result.exit_code == 0, result.stderr
    return str(folder)


def test_run_prints_samples_on_stdout_and_all_else_on_stderr(tmp_path: Path) -> None:
    result = microgpt("run", "names", "-o", str(tmp_path / "r"), *SHORT)
    samples = (tmp_path / "r" / "samples.txt").read_text(encoding="utf-8")
    assert result.stdout == samples
    order = ["27 tokens; 4,192 parameters", "ln 27 = 3.296", "step 1/3", "step 3/3", "validation loss", "the run is in"]
    places = [result.stderr.index(text) for text in order]
    assert places == sorted(places)


def test_a_profile_says_where_the_time_goes(tmp_path: Path) -> None:
    file = tmp_path / "out.prof"
    result = microgpt("run", "names", "-o", str(tmp_path / "r"), "--profile", str(file), *SHORT)
    assert f"python -m pstats {file}" in result.stderr
    names = {name for _, _, name in pstats.Stats(str(file)).stats}
    assert {"train", "make_step", "generate"} <= names
    nowhere = microgpt("run", "names", "-o", str(tmp_path / "s"), "--profile", str(tmp_path / "no" / "x"), *SHORT)
    assert (nowhere.exit_code, "can't write" in nowhere.stderr) == (1, True)
    assert (tmp_path / "s" / "samples.txt").is_file()  # the run isn't lost by it


def test_run_json_is_all_that_stdout_has(tmp_path: Path) -> None:
    result = microgpt("run", "names", "--json", "-o", str(tmp_path / "r"), *SHORT)
    about = json.loads(result.stdout)
    assert about["result"]["step"] == 3
    assert about["result"]["stopped_by"] == "max_steps"
    assert len(about["samples"]) == 2


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["run", "name"], 2, "did you mean 'names'"),
        (["run", "names", "--set", "model.n_head=5"], 2, "must be divisible"),
        (["run", "names", "--set", "model.n_heads=5"], 2, "did you mean 'n_head'"),
        (["run", "names", "--set", "train.max_steps=many"], 2, "max_steps"),
        (["run", "names", "--set", "dataset={use: text, path: nowhere.txt}"], 2, "nowhere.txt"),
        (["run", "names", "--set", "optimizer.lr=1e300", *SHORT], 3, "isn't finite"),
        (["run"], 2, "expected PIPELINE, or --resume DIR"),
        (["generate", "nothing-1"], 2, "no such run or model folder"),
        (["generate", "nothing-1", "--precision", "bfloat16"], 2, "microgpt-simd brings it"),
        (["generate", "nothing-1", "--backend", "simt"], 2, "unknown backend 'simt'"),
        (["evaluate", "nothing-1"], 2, "no such run or model folder"),
        (["plan", "names", "--set", "kernels={linear: simd}"], 2, "simd"),
        (["plan", "nothing.yaml"], 2, "no such file"),
    ],
)
def test_mistakes_have_their_exit_code_and_leave_no_traceback(
    args: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = microgpt(*args)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_generate_writes_prompts_and_what_follows(run_folder: str) -> None:
    result = microgpt("generate", run_folder, "-p", "em", "-p", "jo", "-n", "2", "--seed", "1")
    lines = result.stdout.splitlines()
    assert [line[:2] for line in lines] == ["em", "em", "jo", "jo"]
    assert microgpt("generate", run_folder, "-p", "em", "-p", "jo", "-n", "2", "--seed", "1").stdout == result.stdout


@pytest.mark.parametrize("options", [[], ["--temperature", "0.5", "--top-k", "3"], ["--max-new-tokens", "30"]])
@pytest.mark.parametrize("as_json", [False, True])
def test_generate_writes_the_same_in_batches_of_any_size(run_folder: str, options: list[str], as_json: bool) -> None:
    """One by one, and by threes, the last group not full. Without --batch: one by one."""
    command = ["generate", run_folder, "-p", "em", "-p", "", "-n", "4", "--seed", "2", *options]
    command += ["--json"] * as_json
    one_by_one = microgpt(*command)
    assert one_by_one.exit_code == 0
    for batch in ("1", "3", "64"):
        assert microgpt(*command, "--batch", batch).stdout == one_by_one.stdout
    samples = json.loads(one_by_one.stdout) if as_json else one_by_one.stdout.splitlines()
    assert len(samples) == 8


def test_generate_json_has_tokens_with_probabilities(run_folder: str) -> None:
    (sample,) = json.loads(microgpt("generate", run_folder, "-p", "em", "-n", "1", "--seed", "4", "--json").stdout)
    assert sample["text"] == "em" + "".join(token["text"] for token in sample["tokens"])
    model, context = mg.load(run_folder), [0, *mg.load(run_folder).tokenizer.encode("em")]
    for token in sample["tokens"]:
        logits = model.logits([context]).tolist()[0][-1]
        assert token["probability"] == pytest.approx(probabilities(logits, 0.8, None, None)[token["id"]], rel=1e-6)
        assert token["logprob"] == pytest.approx(log(probabilities(logits, 1.0, None, None)[token["id"]]), rel=1e-6)
        context.append(token["id"])


def test_generate_goes_on_past_the_block(run_folder: str) -> None:
    """What --max-new-tokens asks for is more than the block holds, where the text doesn't end before."""
    lengths = [len(line) for line in microgpt("generate", run_folder, "-n", "30", "--seed", "1").stdout.splitlines()]
    more = microgpt("generate", run_folder, "-n", "30", "--seed", "1", "--max-new-tokens", "60").stdout.splitlines()
    assert max(lengths) <= 17 < max(map(len, more))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-p", "em!"], "unknown character '!'"),
        (["--temperature", "-1"], "temperature"),
        (["--top-p", "2"], "top_p"),
        (["--top-k", "0"], "top_k"),
        (["-n", "0"], "num_samples"),
        (["--batch", "0"], "batch_size"),
        (["--seed", "-1"], "seed"),
    ],
)
def test_generate_refuses_before_it_writes(run_folder: str, args: list[str], message: str) -> None:
    result = microgpt("generate", run_folder, *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_evaluate_on_held_out_text_and_on_a_file(run_folder: str, tmp_path: Path) -> None:
    held_out = json.loads(microgpt("evaluate", run_folder, "--json").stdout)
    recorded = json.loads((Path(run_folder) / "evaluation.json").read_text(encoding="utf-8"))
    assert held_out == recorded
    assert "--text FILE" in microgpt("evaluate", str(Path(run_folder) / "model")).stderr


TEXT = "emma\r\n\n  \nolivia\nannamariaelisabethcharlottesophie\n"


@pytest.mark.parametrize("document", ["line", "file"])
def test_evaluate_a_text(run_folder: str, tmp_path: Path, document: str) -> None:
    """From a file and from the standard input; a table, and JSON with the figures of `evaluate`."""
    documents = ["emma", "olivia", "annamariaelisabethcharlottesophie"] if document == "line" else ["emma"]
    names = tmp_path / "names.txt"
    names.write_bytes(b"\xef\xbb\xbf" + (TEXT if document == "line" else "emma").encode())
    found = json.loads(microgpt("evaluate", run_folder, "--document", document, "--text", str(names), "--json").stdout)
    assert found == {**mg.load(run_folder).evaluate(documents), "guessing": log(27)}
    assert found["characters"] == sum(map(len, documents))
    piped = ["evaluate", run_folder, "--document", document, "--text", "-", "--json"]
    result = CliRunner().invoke(main, piped, input=names.read_bytes(), prog_name="microgpt")
    assert json.loads(result.stdout) == found
    table = microgpt("evaluate", run_folder, "--document", document, "--text", str(names)).stdout
    assert (
        f"loss                 {found['loss']:.4f} nats per token\nperplexity           {found['perplexity']:.4f}"
        in table
    )
    for name in found:
        assert name.replace("_", " ") in table


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no text in it"),
        (b"\n \n", "there is no text in it"),
        (b"emma\n\nju lia\n", "line 3: unknown character ' ' (U+0020) at position 2"),
        (b"emma\n\xff\n", "isn't UTF-8 text"),
    ],
)
@pytest.mark.parametrize("document", ["line", "file"])
def test_evaluate_refuses_what_it_cannot_measure(
    run_folder: str, tmp_path: Path, content: bytes, message: str, document: str
) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    result = microgpt("evaluate", run_folder, "--text", str(tmp_path / "text.txt"), "--document", document)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "text.txt" in result.stderr


def test_a_whole_file_has_line_ends_to_predict(run_folder: str, tmp_path: Path) -> None:
    """Which this model never saw."""
    (tmp_path / "text.txt").write_text("emma\nolivia\n", encoding="utf-8")
    result = microgpt("evaluate", run_folder, "--text", str(tmp_path / "text.txt"), "--document", "file")
    assert result.exit_code == 2
    assert "unknown character '\\n'" in result.stderr


def test_plan_shows_parameters_calls_and_memory() -> None:
    result = microgpt("plan", "names")
    assert result.exit_code == 0, result.stderr
    for text in (
        "4,192",
        "block.0.attention.q ",
        "linear.forward",
        "attention.backward",
        "adamw_update.forward",
        "peak",
    ):
        assert text in result.stdout, text
    explained = microgpt("plan", "names", "--explain").stdout
    assert "first choice" in explained
    assert "first choice" not in result.stdout
    forced = microgpt("plan", "names", "--explain", "--set", "kernels.linear=reference").stdout.splitlines()
    why = {"linear." in line: line.endswith("forced by kernels:") for line in forced if " reference " in line}
    assert why == {True: True, False: False}


def test_plan_of_a_run_is_the_plan_of_its_pipeline(run_folder: str) -> None:
    again, first = (json.loads(microgpt("plan", what, "--json").stdout) for what in (run_folder, "names"))
    for found in (again, first):  # what this process holds, and what is free, moves
        for name in ("process and text", "peak", "available"):
            assert found["memory"].pop(name) > 0
    assert again == first


def test_plan_of_a_run_by_its_name(run_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(run_folder, tmp_path / "runs" / "mine-1")
    monkeypatch.chdir(tmp_path)
    shown = microgpt("plan", run_folder).stdout.partition("\nmemory ")[0]
    for name in ("mine-1", "latest"):
        assert microgpt("plan", name).stdout.partition("\nmemory ")[0] == shown
    assert "unknown pipeline 'mine-2'" in microgpt("plan", "mine-2").stderr


def test_plan_json_adds_up() -> None:
    found = json.loads(microgpt("plan", "names", "--json").stdout)
    memory = found["memory"]
    assert memory["parameters"] == 4 * found["parameters"] == 4 * 4192
    parts = sum(v for name, v in memory.items() if name not in ("peak", "available"))
    assert parts <= memory["peak"]  # or as much as was needed before
    assert found["disk"] == {"checkpoint": 3 * 4 * 4192, "peak": 3 * 3 * 4 * 4192 + 3 * 4 * 4192}
    assert found["flops_per_step"] == sum(c["flops"] for plan in ("micro", "update") for c in found[plan]["calls"])
    two = json.loads(microgpt("plan", "names", "--json", "--set", "train.accumulation=2").stdout)
    assert two["flops_per_step"] == found["flops_per_step"] + found["micro"]["flops"]


def test_plan_of_a_large_model_needs_no_memory_and_no_text() -> None:
    sizes = [
        "model.n_layer=12",
        "model.n_embd=768",
        "model.n_head=12",
        "model.block_size=256",
        "train.batching=documents",
    ]
    options = [part for size in sizes for part in ("--set", size)]
    result = microgpt("plan", "microgpt", "--vocab-size", "50257", "--json", *options)
    found = json.loads(result.stdout)
    assert found["parameters"] == 2 * 50257 * 768 + 256 * 768 + 12 * 12 * 768 * 768


def test_help_of_every_command_has_examples() -> None:
    for name in ("run", "plan", "generate", "evaluate"):
        assert "Examples:" in microgpt(name, "--help").stdout, name


STEP = Step(
    step=5, max_steps=100, tokens=300, train_loss=2.5, val_loss=None, lr=0.01, grad_norm=1.0, seconds=0.5,
    step_tokens=50, flops=10, seconds_left=47.0,
)  # fmt: skip


def test_a_step_in_a_line() -> None:
    assert describe(STEP) == "step   5/100  loss 2.500             100 tokens/s  47 s left"


@pytest.mark.parametrize(
    ("peak", "recomputed", "shown"), [(160.0, 0, "12.5%"), (200.0, 4, "6%"), (2e5, 0, "0.01%"), (20.0, 0, "100%")]
)
def test_where_the_peak_is_known_a_step_says_its_share(peak: float, recomputed: int, shown: str) -> None:
    step = replace(STEP, peak=peak, recomputed=recomputed)  # of 20 FLOP/s
    assert f"  100 tokens/s, {shown} MFU  47 s left" in describe(step)
    assert replace(step, seconds=0.0).mfu is None


@pytest.mark.parametrize(("seconds", "shown"), [(12.4, "12 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_on_a_terminal_there_is_a_bar_and_evaluations_stay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    reporter = ConsoleReporter()
    for step in (1, 2, 3):
        reporter.step(Step(**{**vars(STEP), "step": step, "val_loss": 2.25 if step == 2 else None}))
    reporter.done()
    err = capsys.readouterr().err
    assert "val 2.250" in err


def test_elsewhere_a_line_comes_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter(range(0, 1000, 2))
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    reporter = ConsoleReporter()
    for step in range(2, 12):
        reporter.step(Step(**{**vars(STEP), "step": step}))
    assert len(capsys.readouterr().err.splitlines()) == 3
