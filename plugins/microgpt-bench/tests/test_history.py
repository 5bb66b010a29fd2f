"""Runs that were kept: their list, the baseline, names that stand for them, and their trend."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result as Outcome

from microgpt_bench.commands.bench import command
from microgpt_bench.report.trend import spark
from microgpt_bench.results import store
from microgpt_bench.results.history import find, runs
from microgpt_bench.results.result import Ratio, Report, Result
from microgpt_bench.results.store import default_path, save
from microgpt_bench.results.trend import trends
from microgpt_core.errors import ConfigurationError

SVG = "{http://www.w3.org/2000/svg}"
HERE = {"cpu": "one", "features": ["avx2"], "cores": 2, "architecture": "x86_64"}
Bench = Callable[..., Outcome]


def report(day: int, ms: float, bench: str = "step", yardstick: float = 1.0, **machine: Any) -> Report:
    """A run on some day: ten processes, so that it can be compared."""
    rounds = tuple((ms, ms * 1.001, ms * 0.999) for _ in range(10))
    fixed = tuple((yardstick,) * 3 for _ in range(10))
    one = Result(bench, "e16", "numpy", "float32", 1, 8, ms, ms, ms, 8e3 / ms, 50, 1, rounds, yardstick_ms=fixed)
    torch = replace(one, candidate="torch-eager", peer=True)
    ratio = Ratio(bench, "e16", "numpy", "float32", "torch", "eager", "float32", 1 / ms, 1 / ms, 1 / ms, False)
    git = {"commit": f"{day:040}", "changed": day == 2}
    facts = HERE | {"time": f"2026-03-{day:02}T12:00:00+00:00", "git": git} | machine
    return Report(facts, [one, torch], [ratio])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Runs the command in an empty folder; an exception of ours is raised."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> Outcome:
        outcome = CliRunner().invoke(command, args)
        if outcome.exception and not isinstance(outcome.exception, SystemExit):
            raise outcome.exception
        return outcome

    return run


def keep(*reports: Report) -> None:
    for i, one in enumerate(reports):
        save(one, Path("bench") / f"{chr(ord('z') - i)}-{one.results[0].bench}.json")  # names aren't their order


def test_the_list_is_by_time_and_names_the_baseline(bench: Bench) -> None:
    keep(report(2, 1.0), report(1, 1.0), report(3, 1.0, "ops"))
    bench("baseline", "y-step")
    header, *rows = (line.split() for line in bench("list").stdout.splitlines())
    assert header[:3] == ["run", "of", "models"]
    assert [(row[0], row[-1]) for row in rows] == [("y-step", "baseline"), ("z-step", "cores"), ("x-ops", "cores")]
    assert rows[1][5] == "0000000+"  # files had changed since
    (first, *_) = json.loads(bench("list", "--json").stdout)
    assert (first["candidates"], first["machine"]) == (["numpy", "torch-eager"], "one, 2 cores")


@pytest.mark.parametrize(("text", "why"), [("{", "Expecting"), ('{"schema": 9}', "schema: found 9")])
def test_a_damaged_file_is_named_and_the_others_are_listed(bench: Bench, text: str, why: str) -> None:
    keep(report(1, 1.0), report(2, 1.0))
    Path("bench", "broken.json").write_text(text, encoding="utf-8")
    for said in ("list", "trend"):
        outcome = bench(said)
        assert f"left out: {Path('bench', 'broken.json')}" in outcome.stderr
        assert why in outcome.stderr
        assert "z-step" in outcome.stdout
        assert "broken" not in outcome.stdout


def test_the_latest_is_compared_with_the_baseline_of_its_kind(bench: Bench) -> None:
    keep(report(1, 1.0), report(2, 1.5), report(3, 1.0, "ops"), report(4, 1.2))
    bench("baseline", "z-step")
    bench("baseline", "x-ops")
    assert "takes 1.20 times as long" in bench("compare").stdout
    assert "takes 1.20 times as long" in bench("compare", "baseline", "latest").stdout
    assert "takes 1.50 times as long" in bench("compare", "baseline", "y-step").stdout
    bench("baseline")
    with pytest.raises(ConfigurationError, match="the latest run is the baseline itself"):
        bench("compare")


def test_names_stand_for_runs_of_the_same_kind(bench: Bench) -> None:
    keep(report(1, 1.0), report(2, 1.0, "ops"), report(3, 1.0))
    save(report(4, 1.0, "ops"), Path("mine.json"))
    assert [run.name for run in find(print, "mine.json", "latest")] == ["mine", "y-ops"]
    assert [run.name for run in find(print, "latest")] == ["x-step"]


def test_the_baseline_is_a_copy(bench: Bench) -> None:
    keep(report(1, 1.0))
    bench("baseline")
    Path("bench", "z-step.json").unlink()
    assert find(print, "baseline-step")[0].time[:10] == "2026-03-01"
    keep(report(2, 1.0))
    assert find(print, "baseline", "latest")[0].time[:10] == "2026-03-01"


EMPTY: dict[str, tuple[tuple[str, ...], str]] = {
    "latest": (("compare", "latest"), "no run is kept in this folder"),
    "trend": (("trend",), "no run is kept there"),
    "baseline": (("baseline",), "no run is kept in this folder"),
    "a name": (("compare", "latesst", "latest"), r"unknown benchmark run 'latesst' \(did you mean 'latest'\?\)"),
    "a file": (("compare", "no.json"), "no.json: No such file"),
}


@pytest.mark.parametrize("name", EMPTY)
def test_what_is_not_there_is_told(bench: Bench, name: str) -> None:
    args, why = EMPTY[name]
    with pytest.raises(ConfigurationError, match=why):
        bench(*args)


def test_no_baseline_was_chosen_yet(bench: Bench) -> None:
    keep(report(1, 1.0))
    with pytest.raises(ConfigurationError, match="no such baseline yet; choose one: microgpt bench baseline"):
        bench("compare")


@pytest.mark.parametrize("kind", ["../../elsewhere", ""])
def test_what_a_file_calls_its_kind_is_no_path(bench: Bench, kind: str) -> None:
    one = report(1, 1.0, "step")
    save(replace(one, results=[replace(r, bench=kind) for r in one.results if kind]), Path("odd.json"))
    with pytest.raises(ConfigurationError, match=r"odd\.json: found the results of"):
        bench("baseline", "odd.json")


def test_an_empty_list_says_how_to_keep_a_run(bench: Bench) -> None:
    assert "microgpt bench step --save" in bench("list").stdout


def test_nothing_that_was_kept_is_overwritten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Still(store.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Still":
            return cls(2026, 3, 1, 14, 25, 30)

    monkeypatch.setattr(store, "datetime", Still)
    for name in ("2026-03-01-142530-step", "2026-03-01-142530-step-2", "2026-03-01-142530-step-3"):
        assert default_path("step") == Path("bench") / f"{name}.json"
        save(report(1, 1.0), default_path("step"))
        assert find(print, "latest")[0].name == name


def test_speeds_are_beside_the_yardstick_and_the_first_run(bench: Bench) -> None:
    keep(report(1, 1.0), report(2, 2.0, yardstick=2.0), report(3, 0.5))
    (series,) = trends(runs(print))
    assert series.title == "step of e16 on numpy"
    assert [point.speed for point in series.points] == pytest.approx(
        [1.0, 1.0, 2.0]
    )  # half as fast a machine, then twice
    assert [point.ratio for point in series.points] == [1.0, 0.5, 2.0]
    assert [point.revision for point in series.points] == ["0000000", "0000000+", "0000000"]


def test_planted_speeds_without_the_yardstick() -> None:
    """What the clock alone would say of the second run above."""
    assert report(1, 1.0).results[0].median_ms / report(2, 2.0, yardstick=2.0).results[0].median_ms == 0.5


def test_machines_stand_by_themselves(bench: Bench) -> None:
    keep(report(1, 1.0), report(2, 9.0, cpu="two"), report(3, 1.0))
    assert {s.machine: len(s.points) for s in trends(runs(print))} == {"one, 2 cores": 2, "two, 2 cores": 1}
    said = bench("trend", "--markdown", "out/trend.md").stdout
    assert said.index("one, 2 cores") < said.index("two, 2 cores")
    text = Path("out/trend.md").read_text(encoding="utf-8")
    assert text.startswith("## one, 2 cores\n\n### step of e16 on numpy")
    assert "| z-step | 0000000 | 1.00 | 1.00 | 0.999-1.00 | 1.00 |" in text


def test_only_what_is_asked_for(bench: Bench) -> None:
    keep(report(1, 1.0), report(2, 1.0))
    (series,) = json.loads(bench("trend", "--candidate", "torch-eager", "--json").stdout)
    assert series["candidate"] == "torch-eager"
    with pytest.raises(ConfigurationError, match="no run is kept there with e64"):
        bench("trend", "--model", "e64")


def test_a_clock_that_saw_no_time_pass_has_no_speed(bench: Bench) -> None:
    timeless = replace(report(2, 1.0).results[0], median_ms=0.0, rounds_ms=((0.0,) * 3,) * 10)
    keep(report(1, 1.0), replace(report(2, 1.0), results=[timeless]))
    save(Report(HERE, []), Path("bench", "nothing.json"))
    (series,) = trends(runs(print))
    assert [point.speed for point in series.points] == [pytest.approx(1.0), None]
    assert bench("trend", "--svg", "trend.svg").exit_code == 0


def test_the_picture_has_a_dot_for_each_run(bench: Bench) -> None:
    keep(report(1, 1.0), report(2, 0.5), report(3, 1.0, cpu="two <&>"))
    bench("trend", "--svg", "trend.svg")
    root = ElementTree.fromstring(Path("trend.svg").read_text(encoding="utf-8"))
    dots = [(float(dot.get("cx", 0)), float(dot.get("cy", 0))) for dot in root.iter(f"{SVG}circle")]
    assert len(dots) == 3
    assert dots[1][1] < dots[0][1]  # higher is faster
    assert dots[0][0] < dots[1][0]
    assert "two <&>, 2 cores" in [text.text for text in root.iter(f"{SVG}text")]


SPARKS = {"": [1.0], "▁█": [1.0, 2.0], "██": [1.0, 1.0], "▅█": [0.9, 1.0], "█▁▅": [3.0, 1.0, 2.0]}


@pytest.mark.parametrize("bars", SPARKS)
def test_small_differences_look_small(bars: str) -> None:
    assert spark(SPARKS[bars]) == bars
