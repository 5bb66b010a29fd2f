"""`microgpt bench compare`: what it prints, what it exits with, and what it refuses to compare."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result as Outcome

from microgpt_bench.commands.compare import command
from microgpt_bench.results.result import Report, Result
from microgpt_bench.results.store import save
from microgpt_core.errors import ConfigurationError

HERE = {"cpu": "one", "features": ["avx2"], "cores": 2, "versions": {"numpy": "2.0"}, "time": "today"}
OPS = {"linear.forward": 3.0, "linear.backward": 5.0, "attention.forward": 2.0, "rmsnorm.forward": 1.0}


def rounds(ms: float, processes: int = 10, noise: float = 0.002, seed: int = 0) -> tuple[tuple[float, ...], ...]:
    rng = Random(f"{seed} {ms}")
    return tuple(tuple(ms * rng.gauss(1, noise) for _ in range(3)) for _ in range(processes))


def one(name: str, ms: float, op: str = "", bench: str = "ops", processes: int = 10, **more: Any) -> Result:
    times = rounds(ms, processes, seed=len(more))
    yardstick = rounds(1.0, processes)
    return Result(
        bench, "e16", name, "float32", 1, 8, ms, ms, ms, 8e3 / ms, 50, 1, times, op=op, yardstick_ms=yardstick, **more
    )


def of_ops(
    name: str = "numpy", slower: dict[str, float] | None = None, processes: int = 10, **more: Any
) -> list[Result]:
    times = {op: ms * (slower or {}).get(op, 1.0) for op, ms in OPS.items()}
    ops = [one(name, ms, op, processes=processes, **more) for op, ms in times.items()]
    return [one(name, sum(times.values()), processes=processes, **more), *ops]


def of_step(ms: float, torch_ms: float | None = None) -> list[Result]:
    peer = [] if torch_ms is None else [one("torch-eager", torch_ms, bench="step", peer=True)]
    return [one("numpy", ms, bench="step"), *peer]


SLOW = {"linear.backward": 1.2}
Run = Callable[..., Outcome]


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on reports, which it saves first; an exception of ours is raised."""
    monkeypatch.chdir(tmp_path)

    def run(*reports: Report, options: tuple[str, ...] = ()) -> Outcome:
        paths = [f"{name}.json" for name, _ in zip(("old", "new"), reports)]
        for path, report in zip(paths, reports):
            save(report, Path(path))
        outcome = CliRunner().invoke(command, [*paths, *options])
        if outcome.exception and not isinstance(outcome.exception, SystemExit):
            raise outcome.exception
        return outcome

    return run


def test_a_regression_is_named(compared: Run) -> None:
    outcome = compared(Report(HERE, of_ops()), Report(HERE, of_ops(slower=SLOW)))
    assert outcome.exit_code == 0
    assert (
        "slower: linear.backward of e16 on numpy, which holds 50 % of the step, takes 1.20 times as long"
        in outcome.output
    )
    assert "slower: linear.forward" not in outcome.output


@pytest.mark.parametrize(("percent", "slower", "code"), [("10", SLOW, 5), ("30", SLOW, 0), ("10", {}, 0)])
def test_fail_on_regression(compared: Run, percent: str, slower: dict[str, float], code: int) -> None:
    reports = Report(HERE, of_ops()), Report(HERE, of_ops(slower=slower))
    assert compared(*reports, options=("--fail-on-regression", percent)).exit_code == code


def test_environments_of_one_race(compared: Run) -> None:
    results = [*of_ops("base:numpy", environment="base"), *of_ops(slower=SLOW)]
    outcome = compared(Report(HERE, results), options=("--fail-on-regression", "10"))
    assert outcome.exit_code == 5
    assert "one race: " in outcome.output
    assert "slower: linear.backward of e16 on numpy" in outcome.output


def test_json(compared: Run) -> None:
    plain = json.loads(compared(Report(HERE, of_ops()), Report(HERE, of_ops(slower=SLOW)), options=("--json",)).stdout)
    assert (plain["means"], plain["percent"]) == ("yardstick", 5.0)
    assert {v["op"]: v["verdict"] for v in plain["verdicts"]}["linear.backward"] == "slower"


def test_json_of_what_is_not_known(compared: Run) -> None:
    reports = [Report(HERE, of_ops(processes=1)) for _ in range(2)]
    plain = json.loads(compared(*reports, options=("--json",)).stdout)
    assert {(v["verdict"], v["low"], v["high"]) for v in plain["verdicts"]} == {("undecided", 0.0, None)}


def test_markdown(compared: Run) -> None:
    compared(Report(HERE, of_ops()), Report(HERE, of_ops(slower=SLOW)), options=("--markdown", "found.md"))
    text = Path("found.md").read_text(encoding="utf-8")
    assert text.startswith("### Slower\n\n* slower: ")
    assert re.search(r"^\| e16 \| numpy \| linear\.backward \| 50 % \| 1\.\d+ \| .* \| slower \|$", text, re.MULTILINE)


def timeless(report: Report) -> Report:
    """As a clock sees it that is too coarse for everything."""
    nothing = tuple((0.0,) * 3 for _ in range(10))
    return replace(report, results=[replace(r, median_ms=0.0, rounds_ms=nothing) for r in report.results])


NOISY, SILENT = Report(HERE, of_ops(processes=1)), timeless(Report(HERE, of_ops()))
HEADINGS: dict[str, tuple[Report, str]] = {
    "No regression": (Report(HERE, of_ops()), "nothing was found to be slower by 10 %"),
    "No regression (5 of 6 too noisy)": (Report(HERE, [*of_step(1.0), *NOISY.results]), "5 of 6 can't be decided"),
    "Nothing decided (5 of 5 too noisy)": (NOISY, "5 of 5 can't be decided"),
    "Nothing decided": (SILENT, "nothing could be judged"),
}


@pytest.mark.parametrize("heading", HEADINGS)
def test_undecided_is_not_passed(compared: Run, heading: str) -> None:
    report, words = HEADINGS[heading]
    gate = ("--fail-on-regression", "10") if report.results != SILENT.results else ()
    assert words in compared(report, report, options=("--markdown", "found.md", *gate)).output
    assert Path("found.md").read_text(encoding="utf-8").startswith(f"### {heading}\n")


def test_no_verdict_at_all_passes_no_gate(compared: Run) -> None:
    with pytest.raises(ConfigurationError, match="nothing could be judged.* needs at least one verdict"):
        compared(SILENT, SILENT, options=("--fail-on-regression", "10"))
    assert compared(NOISY, NOISY, options=("--fail-on-regression", "10")).exit_code == 0


def test_noise_is_told(compared: Run) -> None:
    outcome = compared(Report(HERE, of_ops(processes=2)), Report(HERE, of_ops(processes=2, slower=SLOW)))
    assert "2 processes of each are few" in outcome.output
    assert "can't be decided: the noise is larger than 5 %" in outcome.output


def test_what_else_differs_is_told(compared: Run) -> None:
    outcome = compared(Report(HERE, of_ops()), Report(HERE | {"versions": {"numpy": "2.1"}}, of_ops()[:-1]))
    assert "versions.numpy was 2.0, is 2.1" in outcome.output
    assert "only in the first: rmsnorm.forward" in outcome.output


def test_machines_are_compared_beside_a_peer(compared: Run) -> None:
    """The new machine is twice as fast, but microgpt gains nothing from it."""
    there = HERE | {"cpu": "another"}
    outcome = compared(Report(HERE, of_step(1.0, 3.0)), Report(there, of_step(1.0, 1.5)))
    assert "slower: step of e16 on numpy takes 2.00 times as long" in outcome.output
    assert "two machines" in outcome.output
    assert "cpu was one, is another" in outcome.output


REFUSED = {
    "no peer ran on both": (Report(HERE, of_step(1.0)), Report(HERE | {"cpu": "another"}, of_step(1.0))),
    "nothing was measured in both": (Report(HERE, of_step(1.0)), Report(HERE, of_ops())),
    "found: this one": (Report(HERE, of_step(1.0)),),
    "left out: e16: base:numpy: no such module": (
        replace(Report(HERE, of_step(1.0)), skipped={"e16: base:numpy": "no such module"}),
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_compared(compared: Run, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        compared(*REFUSED[words])
