"""`microgpt bench`: what it prints, writes and refuses; every command that the docs and the help show."""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from microgpt_bench import bench as bench_module
from microgpt_bench.candidate import Candidate
from microgpt_bench.commands import bench as commands, history, measured, options, tokenize
from microgpt_bench.measuring.pin import pinned
from microgpt_bench.measuring.race import Effort, Lane, Say, Timed
from microgpt_bench.work import tokenize as tokenizing
from microgpt_bench.work.memory import needed
from microgpt_bench.work.peers import by_threads
from microgpt_core.cli.main import main
from microgpt_core.errors import DoesNotFitError

ROOT = Path(__file__).parents[3]
PACK = Path(__file__).parents[1]
SCHEMA = json.loads((PACK / "microgpt_bench" / "results" / "schema.json").read_text(encoding="utf-8"))
NS = {
    "reference": 8e6,
    "numpy": 4e6,
    "torch-eager": 6e6,
    "torch-compiled": 5e6,
    "torch-eager bfloat16": 3e6,
    "torch-compiled bfloat16": 4e6,
}
BACKENDS = [SimpleNamespace(name="numpy"), SimpleNamespace(name="reference")]
SECONDS = count(0.5)  # to the first step, so that no two reports are the same
ENVIRONMENT = "--environment base=../base/.venv/bin/python"


def fake_race(
    work: str,
    candidates: Sequence[Candidate],
    settings: Mapping[str, Any],
    effort: Effort,
    say: Say,
    check: Callable[[Lane], None],
) -> list[Timed]:
    """Times that are known beforehand, with a little noise that all share."""
    found = []
    for who in candidates:
        ns = NS.get(who.label.partition(":")[2] or who.label, 1e6)
        rounds = [[ns * (1 + 0.02 * i) for i in range(effort.rounds)] for _ in range(effort.processes)]
        parts = [[{"linear.forward": one * 3 / 4, "add.forward": one / 4} for one in process] for process in rounds]
        empty: list[list[dict[str, float]]] = [[{} for _ in process] for process in rounds]
        found.append(
            Timed(
                who, rounds, singles=rounds, parts=parts if work == "ops" else empty, yardsticks=rounds,
                facts={"tokens": 1 if who.use == "reading" else 8, "versions": {"python": "3.11.7"}},
                first_s=next(SECONDS), peaks=[50_000_000],
            )
        )  # fmt: skip
    return found


def fake_tokenizer(peer: str, threads: int) -> list[Candidate]:
    return [Candidate(peer, threads=threads, peer=True, way=by_threads(threads))]


def fake_ways(peer: str, precision: str, threads: int) -> list[Candidate]:
    return [Candidate(peer, precision, threads, peer=True, way=way) for way in ("eager", "compiled")]


@pytest.fixture(autouse=True)
def faked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_module, "race", fake_race)
    monkeypatch.setattr(bench_module, "ways_of", fake_ways)
    monkeypatch.setattr(bench_module, "tokenizer_of", fake_tokenizer)
    monkeypatch.setattr(tokenizing, "tokenizers", lambda: ["bpe", "char"])
    monkeypatch.setattr(tokenizing, "reads_ranks", lambda name: name == "bpe")
    monkeypatch.setattr(tokenizing, "keep", lambda name, texts, vocab_size, file: None)
    monkeypatch.setattr(bench_module, "available_memory", lambda: 4_000_000_000)
    monkeypatch.setattr(measured, "least_step", lambda model, who, say: 1e-3)
    monkeypatch.setattr(measured, "usable_backends", lambda: BACKENDS)
    monkeypatch.setattr(bench_module, "cores", lambda: 2)
    monkeypatch.chdir(tmp_path)


def microgpt(*args: str, code: int = 0) -> Result:
    done = CliRunner().invoke(commands.command, args, prog_name="microgpt bench")
    assert done.exit_code == code or type(done.exception).__name__ == "ConfigurationError", done.output
    return done


def test_the_table_and_what_it_says_of_the_ratios() -> None:
    said = microgpt("step", "--model", "e16", "--against", "torch").stdout
    header, numpy, reference, *_ = said.splitlines()
    assert header.split() == [
        "model", "candidate", "ms", "a", "step", "10-90", "%", "one", "alone", "tokens/s", "of", "the", "roof", "MB",
        "first,", "s", "times", "torch", "MB", "of", "torch's",
    ]  # fmt: skip
    assert numpy.split()[:3] == ["e16", "numpy", "4.28"]
    assert "23 %" in numpy  # 1 ms of 4.28
    assert numpy.split()[-3:] == ["1.25", "100", "%"]  # against compiled, which is torch's best; all hold as much
    assert reference.split()[-3] == "0.625"
    assert "others ran in float32 only" in said
    assert "torch-eager" in said
    assert "e16: numpy float32 is 1.25 times as fast as torch (compiled, float32)" in said


def test_a_peer_in_another_precision_is_its_best() -> None:
    said = microgpt(
        "step", "--model", "e16", "--backend", "numpy", "--precision", "float32,bfloat16", "--against", "torch"
    ).stdout
    assert "times torch at its best" in said.splitlines()[0]
    row = next(line.split() for line in said.splitlines() if line.startswith("e16    numpy  "))
    assert row[-4:-2] == ["1.25", "0.75"]  # against compiled float32, and eager bfloat16
    row = next(line.split() for line in said.splitlines() if line.startswith("e16    numpy bfloat16 "))
    assert row[-4:-2] == ["3.00", "3.00"]  # against eager bfloat16, which is its best, too
    assert "others ran in" not in said


def test_memory_is_beside_the_way_that_is_raced(monkeypatch: pytest.MonkeyPatch) -> None:
    def lighter(work: str, candidates: Sequence[Candidate], *rest: Any) -> list[Timed]:
        found = fake_race(work, candidates, *rest)
        for one in found:
            one.peaks = [{"numpy": 30_000_000, "torch-compiled": 40_000_000}.get(one.candidate.label, 90_000_000)]
        return found

    monkeypatch.setattr(bench_module, "race", lighter)
    said = microgpt("step", "--model", "e16", "--backend", "numpy", "--against", "torch").stdout
    assert said.splitlines()[0].endswith("MB of torch's")
    assert re.search(r"e16 +numpy .* 75 %", said)


def test_a_token_is_beside_the_reading_of_the_weights() -> None:
    said = microgpt("generate", "--model", "e16", "--backend", "numpy").stdout
    assert "of the bandwidth" in said.splitlines()[0]
    assert re.search(r"e16 +numpy .* 2[3-5] %", said)  # a millisecond of four
    assert "reading" not in said  # whose own time is no result
    without = microgpt("generate", "--model", "e16", "--backend", "numpy", "--no-roof").stdout
    assert "of the" not in without


def test_a_token_in_half_the_bytes_is_beside_their_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NS, "reading", 2e6)
    asked = "generate", "--model", "e16", "--backend", "numpy", "--precision", "float32,bfloat16", "--json"
    found = json.loads(microgpt(*asked).stdout)["results"]
    assert [round(one["roof_share"], 3) for one in found] == [0.5, 1.0]  # of 4 ms, and of the 1 ms of anybody unknown


def test_where_nothing_could_be_read_no_share_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_reads(work: str, candidates: Sequence[Candidate], *more: Any) -> list[Timed]:
        found = fake_race(work, candidates, *more)
        found[-1].left_out = "no memory"
        return found

    monkeypatch.setattr(bench_module, "race", none_reads)
    done = microgpt("generate", "--model", "e16", "--backend", "numpy")
    assert "of the bandwidth" not in done.stdout
    assert "left out: e16: no memory" in done.output


def test_reading_has_no_room_where_the_candidate_alone_has(monkeypatch: pytest.MonkeyPatch) -> None:
    free = needed("generate", "gpt2", Candidate("reference")) + 100_000_000
    monkeypatch.setattr(bench_module, "available_memory", lambda: free)
    said = microgpt("generate", "--model", "gpt2", "--backend", "reference").stdout
    assert "of the bandwidth" not in said.splitlines()[0]
    assert re.search(
        r"gpt2: no share of the bandwidth, since reference \([\d.]+ MB\) and reading \([\d.]+ MB\) need", said
    )


def test_of_other_work_no_share_is_known() -> None:
    said = microgpt("generate", "--model", "e16", "--backend", "numpy", "--vary", "model.n_layer=1,2").stdout
    assert "of the bandwidth" not in said


def test_what_timing_costs_is_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    def costly(*given: Any) -> list[Timed]:
        found = fake_race(*given)
        for one, cost in zip(found, (0.068, -0.001), strict=True):
            one.clock_cost = cost
        return found

    monkeypatch.setattr(bench_module, "race", costly)
    said = microgpt("ops", "--model", "e16", "--backend", "numpy,reference").stdout.splitlines()
    assert "for the clock" in said[0]
    assert " 6.8 %" in said[1]
    assert " <0.01 %" in said[2]


def test_json_is_what_the_schema_says() -> None:
    done = microgpt("step", "--model", "e16,e64", "--against", "torch", "--json")
    report = json.loads(done.stdout)
    jsonschema.validate(report, SCHEMA)
    assert {
        "bench", "model", "candidate", "precision", "threads", "tokens", "median_ms", "p10_ms", "p90_ms",
        "tokens_per_s", "peak_rss_mb", "roof_share",
    } <= set(report["results"][0])  # fmt: skip
    assert {(r["model"], r["candidate"], r["against"], r["ratio"]) for r in report["ratios"]} == {
        ("e16", "numpy", "torch", 1.25), ("e16", "reference", "torch", 0.625),
        ("e64", "numpy", "torch", 1.25), ("e64", "reference", "torch", 0.625),
    }  # fmt: skip


def test_ops_are_shares_of_their_step() -> None:
    said = microgpt("ops", "--model", "e16", "--backend", "numpy", "--rounds", "8").stdout
    assert re.search(r"e16 +numpy +linear\.forward +3\.21 .* 75 %", said)
    assert re.search(r"e16 +numpy +add\.forward +1\.07 .* 25 %", said)


def test_what_is_saved_can_be_compared() -> None:
    for name in ("a.json", "b.json"):
        microgpt("ops", "--model", "e16", "--backend", "numpy", "--save", name)
    assert "nothing was found to be slower by 5 %" in microgpt("compare", "a.json", "b.json").stdout


def test_markdown_for_a_pull_request(tmp_path: Path) -> None:
    microgpt("step", "--model", "e16", "--against", "torch", "--markdown", "report.md")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| e16 | numpy |" in text.replace("  ", " ")


def test_choices_are_candidates_and_the_first_is_what_others_are_compared_with() -> None:
    vary = ("--vary", "train.recompute=0,1", "--vary", "model.norm=rmsnorm")
    said = microgpt("step", "--model", "e16", "--backend", "numpy", *vary).stdout
    first, second = (f"numpy[train.recompute={n},model.norm=rmsnorm]" for n in (0, 1))
    assert said.splitlines()[0].endswith("times the first")
    assert f"e16: {second} float32 beside {first} (float32)" in said


def test_values_may_be_lists() -> None:
    assert options.Choices().convert("a=[1, 2],{b: [3, 4]}, x", None, None) == ("a=[1, 2]", "a={b: [3, 4]}", "a=x")


def test_where_it_is_pinned_is_told() -> None:
    where = pinned(1)
    assert json.loads(microgpt("startup", "--json").stdout)["remarks"] == ([where] if where else [])
    assert not json.loads(microgpt("startup", "--no-pin", "--json").stdout)["remarks"]


def test_where_memory_has_no_room_for_all_they_race_in_groups() -> None:
    memory = needed("step", "gpt2", Candidate("numpy")) + needed("step", "gpt2", Candidate("reference"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_module, "available_memory", lambda: memory + 1)
        said = microgpt("step", "--model", "gpt2", "--against", "torch").stdout
        patch.setattr(bench_module, "available_memory", lambda: memory - 1)
        refused = CliRunner().invoke(commands.command, ["step", "--model", "gpt2"])
    assert "numpy, reference | numpy, torch-eager | numpy, torch-compiled raced apart; ratios go by numpy" in said
    assert isinstance(refused.exception, DoesNotFitError)


REFUSED = {
    "a model": (("step", "--model", "e17"), "unknown model to measure 'e17'"),
    "a program": (("startup", "--what", "help,lists"), "unknown model to measure 'lists'"),
    "an environment": (("step", "--environment", "base"), "--environment base: expected NAME=PYTHON"),
    "an interpreter": (("step", "--environment", "base=/nowhere/python"), "with an interpreter that is there"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    args, said = REFUSED[name]
    done = CliRunner().invoke(commands.command, args)
    assert said in str(done.exception)


def test_nothing_measured_is_a_failure_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        bench_module, "race", lambda work, candidates, *_: [Timed(w, left_out="no") for w in candidates]
    )
    done = CliRunner().invoke(commands.command, ["step", "--model", "e16"])
    assert "left out: e16: no" in done.stdout
    assert done.exit_code
    assert "nothing was measured" in str(done.exception)


def shown() -> list[str]:
    """The commands of the pack's README, of the page, and of the help."""
    pages = [PACK / "README.md", ROOT / "docs" / "how-to" / "benchmark.md"]
    found = [
        x
        for page in pages
        for x in re.findall(r"^(?:\$ | {4})microgpt bench (.+)$", page.read_text(encoding="utf-8"), re.M)
    ]
    helps = (
        commands.EXAMPLES,
        commands.STEP_EXAMPLES,
        commands.OPS_EXAMPLES,
        commands.GENERATE_EXAMPLES,
        commands.STARTUP_EXAMPLES,
        tokenize.EXAMPLES,
        commands.CHECKPOINT_EXAMPLES,
        history.LIST_EXAMPLES,
        history.BASELINE_EXAMPLES,
        history.TREND_EXAMPLES,
    )
    return found + [x for text in helps for x in re.findall(r"^  microgpt bench (.+?)(?:  .*| > .*)?$", text, re.M)]


def test_every_command_that_is_shown_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which they are shown: some read what others have written. Whichever packs are installed here."""
    monkeypatch.setattr(bench_module, "available_memory", lambda: 64_000_000_000)
    python = tmp_path / "python"
    python.touch()
    (tmp_path / "ranks").mkdir()
    (tmp_path / "ranks/r50k_base.tiktoken").touch()
    found = shown()
    assert len(found) > 12
    for words in found:
        line = re.sub(r"--environment (\w+)=\S+", rf"--environment \1={python}", words)
        done = CliRunner().invoke(commands.command, shlex.split(line))
        assert done.exit_code == 0, f"{words}: {done.output} {done.exception!r}"


def test_tokenizers_and_checkpoints_are_named_by_what_they_do(tmp_path: Path) -> None:
    report = json.loads(microgpt("tokenize", "--tokenizer", "char", "--what", "encode,decode", "--json").stdout)
    assert [(one["bench"], one["model"], one["candidate"]) for one in report["results"]] == [
        ("tokenize", "char encode", "microgpt"),
        ("tokenize", "char decode", "microgpt"),
    ]
    said = microgpt("checkpoint", "--model", "e16").stdout
    assert re.search(r"^e16 load +microgpt ", said, re.M)
    assert not list(tmp_path.iterdir())  # what was saved is gone


TOKENIZE = ("tokenize", "--tokenizer", "bpe", "--rounds", "2", "--processes", "1", "--json")


def rows_of(*args: str) -> list[tuple[str, str, int]]:
    report = json.loads(microgpt(*TOKENIZE, *args).stdout)
    return [(one["model"], one["candidate"], one["threads"]) for one in report["results"]]


def test_threads_are_raced_one_after_the_other() -> None:
    assert rows_of("--what", "encode", "--threads", "1,2", "--against", "tiktoken") == [
        ("bpe encode", "microgpt", 1),
        ("bpe encode", "tiktoken", 1),
        ("bpe encode", "microgpt-2-threads", 2),
        ("bpe encode", "tiktoken-2-threads", 2),
    ]
    report = json.loads(microgpt(*TOKENIZE, "--what", "encode", "--threads", "1,2", "--against", "tiktoken").stdout)
    ratios = [(one["candidate"], one["against"], one["against_way"]) for one in report["ratios"]]
    assert ratios == [("microgpt", "tiktoken", ""), ("microgpt-2-threads", "tiktoken", "2-threads")]


def test_each_of_the_given_vocabularies_is_measured(tmp_path: Path) -> None:
    for name in ("b.tiktoken", "a.tiktoken", "c.txt"):
        (tmp_path / name).touch()
    assert [row[0] for row in rows_of("--ranks", ".")] == [
        "bpe train", "bpe encode a", "bpe encode b", "bpe decode a", "bpe decode b",
    ]  # fmt: skip
    assert [row[0] for row in rows_of("--what", "encode", "--ranks", "b.tiktoken")] == ["bpe encode b"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--threads", "1,x"], "--threads: found 'x', allowed: whole numbers from 1 on"),
        (["--threads", "0"], "--threads: found '0'"),
        (["--threads", "3"], "threads: found 3, allowed: at most 2"),
        (["--ranks", "."], r"--ranks .: found no \*.tiktoken file there"),
        (["--ranks", "a.txt"], r"--ranks a.txt: found no \*.tiktoken file"),
        (["--tokenizer", "char", "--ranks", "a.tiktoken"], "none of char reads ranks; bpe does"),
    ],
)
def test_what_tokenize_refuses(args: list[str], message: str, tmp_path: Path) -> None:
    for name in ("a.txt", "sub/a.tiktoken") if args[0] != "--tokenizer" else ("a.tiktoken",):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert re.search(message, str(microgpt(*TOKENIZE, *args, code=2).exception))


def test_the_program_knows_the_command() -> None:
    assert "Measure how fast" in CliRunner().invoke(main, ["bench", "--help"]).stdout
