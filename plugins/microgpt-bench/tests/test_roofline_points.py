"""A step under the roof: counts as the docs have them by hand, times beside calls, advice on planted situations."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from microgpt_bench.candidate import Candidate
from microgpt_bench.roofline import advice
from microgpt_bench.roofline.advice import Situation, advise
from microgpt_bench.roofline.points import Point, by_op, by_part, least_seconds, points_of, whole
from microgpt_bench.roofline.roof import Level, Roof
from microgpt_bench.roofline.subject import find_subject
from microgpt_bench.work.calls import Calls
from microgpt_core.errors import ConfigurationError, MicrogptError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import to_dict
from microgpt_core.pipeline.reading.yaml_writer import write_yaml
from microgpt_core.plugins.loader import load

DOCS = Path(__file__).parents[3] / "docs" / "explanation"
ROW = re.compile(r"^\| `(?P<call>\w+\.\w+)` \|.*\| (?P<bytes>[\d,]+) \| (?P<flops>[\d,]+) \| (?P<per>[\d.]+) \|$", re.M)
ROOF = Roof(
    {"float32": 100e9, "float64": 50e9},
    (
        Level("L1", 32 << 10, 200e9, 200e9, 200e9),
        Level("L2", 1 << 20, 100e9, 100e9, 100e9),
        Level("memory", None, 20e9, 20e9, 20e9),
    ),
)
FAST16 = Roof({**ROOF.peaks, "bfloat16": 400e9}, ROOF.levels)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def by_hand(text: str) -> dict[str, tuple[int, int, float]]:
    return {r["call"]: (number(r["bytes"]), number(r["flops"]), float(r["per"])) for r in ROW.finditer(text)}


def test_the_counts_by_hand_are_the_plans() -> None:
    text = (DOCS / "roofline.md").read_text(encoding="utf-8")
    groups = by_op(find_subject("e16", "numpy").points(), ROOF)
    assert by_hand(text) == {g.name: (g.bytes, g.flops, pytest.approx(g.intensity, abs=0.0051)) for g in groups}
    step = whole(find_subject("e16", "numpy").points(), ROOF)
    assert f"{step.bytes:,} bytes and {step.flops:,} operations" in text
    micro, _ = find_subject("e16", "numpy").plans()
    assert f"Together {micro.flops:,}" in (DOCS / "counting.md").read_text(encoding="utf-8")


def test_planted_a_count_that_is_wrong() -> None:
    text = (DOCS / "roofline.md").read_text(encoding="utf-8")
    assert by_hand(text) != by_hand(text.replace("62,880 | 112,128", "62,880 | 112,127"))


def test_the_least_time_of_a_step_is_that_of_its_calls() -> None:
    plans = find_subject("e16", "numpy").plans()
    total = 0.0
    for plan in plans:
        for call in plan.calls:
            used = {i for i in call.arguments.values() if i is not None}
            assert sum(plan.values[i].nbytes for i in used) < 32 << 10  # all of e16 fits the first cache
            total += max(call.flops / 100e9, call.bytes / 200e9)
    assert least_seconds(plans, ROOF) == pytest.approx(total)


def test_groups_add_up() -> None:
    points = find_subject("e64", "numpy").points()
    step = whole(points, ROOF)
    for groups in (by_op(points, ROOF), by_part(points, ROOF)):
        assert sum(g.calls for g in groups) == step.calls == len(points)
        assert sum(g.flops for g in groups) == step.flops
        assert sum(g.least for g in groups) == pytest.approx(step.least)
        assert [g.weight for g in groups] == sorted((g.weight for g in groups), reverse=True)
    assert {"block.*.attention.q", "block.*.mlp", "adamw_update"} <= {g.name for g in by_part(points, ROOF)}
    assert step.seconds is step.share is None


def test_times_stand_beside_their_calls() -> None:
    micro, update = find_subject("e16", "numpy").plans()
    times = [1000.0 * i for i in range(len(micro.calls))]
    points = points_of(micro, times)
    assert [p.ns for p in points] == times
    slowest = points[-1]
    group = next(g for g in by_op(points, ROOF) if g.name == slowest.name)
    assert group.seconds == pytest.approx(sum(p.ns or 0 for p in points if p.name == slowest.name) / 1e9)
    assert group.share == pytest.approx(group.least / (group.seconds or 1))
    with pytest.raises(ValueError):
        points_of(update, times)


@pytest.mark.parametrize(("name", "overrides", "calls"), [
    ("e16", [], 1), ("microgpt", [], 1), ("names", [], 1), ("names", ["train.accumulation=3"], 3),
    ("names", ["train.batching=packed"], 1), ("w16", [], 1),
])  # fmt: skip
def test_golden_models_presets_and_pipelines(name: str, overrides: Sequence[str], calls: int) -> None:
    points = find_subject(name, "reference", overrides).points()
    assert Counter(p.name for p in points)["cross_entropy.forward"] == calls
    assert {p.backend for p in points} == {"reference"}


def test_real_times_of_a_step() -> None:
    calls = Calls(Candidate("reference"), "e16", [])
    calls.run(1)
    found = calls.times(0.0)
    points = calls.subject.points((found["micro"], found["update"]))
    assert all(p.ns is not None and p.ns > 0 for p in points)
    assert calls.facts() == {}


@pytest.mark.parametrize(("name", "overrides", "said"), [
    ("e16", ["model.n_layer=2"], "always the same"), ("nowhere", [], "nowhere"), ("names", ["no.such=1"], "no"),
])  # fmt: skip
def test_what_is_no_subject(name: str, overrides: Sequence[str], said: str) -> None:
    with pytest.raises(MicrogptError, match=said) as refused:
        find_subject(name, "auto", overrides)
    assert refused.value.exit_code == 2


def test_a_run_is_what_its_pipeline_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    registry = load(builtin)
    pipeline = read_pipeline("names", registry, {"model.n_embd": 8, "backend": "reference"})
    (tmp_path / "runs" / "small-1").mkdir(parents=True)
    (tmp_path / "runs" / "small-1" / "resolved.yaml").write_text(write_yaml(to_dict(pipeline)), encoding="utf-8")
    expected = find_subject("names", "reference", ["model.n_embd=8"]).points()
    for name in ("small-1", "runs/small-1", "latest"):
        assert find_subject(name).points() == expected
    assert len(find_subject("latest", "auto", ["train.accumulation=2"]).points()) > len(expected)


def test_a_step_of_minutes_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(ConfigurationError, match="--no-time"):
        find_subject("gpt2", "reference").allocate()


def call(
    op: str = "linear",
    *,
    flops: int,
    nbytes: int,
    fixed: int = 0,
    ns: float | None = None,
    backend: str = "numpy",
    update: bool = False,
    precision: str = "float32",
    method: str = "forward",
) -> Point:
    return Point(op, method, "block.0", backend, precision, flops, nbytes, nbytes, fixed, ns, update)


# By the roof, 1e8 FLOPs take a millisecond, and so do 2e7 bytes of memory.
PRODUCT = call(flops=10**8, nbytes=10**5, ns=1e6)
WAITING = call("add", flops=10, nbytes=2 * 10**7, ns=1e6)
PYTHON = call("relu2", flops=10**4, nbytes=10**4, ns=3e6, backend="reference")
SLOW = call("attention", flops=10**8, nbytes=10**5, ns=3e6)
TINY = [call("rmsnorm", flops=100, nbytes=400, ns=1e4) for _ in range(100)]
NARROW = call(flops=2 * 10**6, nbytes=4 * 10**6, fixed=39 * 10**5, ns=2e5)  # bytes bound it: half a FLOP each
UPDATE = call("adamw_update", flops=10**6, nbytes=2 * 10**7, ns=1e6, update=True)
DOUBLE = call(flops=5 * 10**7, nbytes=10**5, ns=1e6, precision="float64")

SITUATIONS = [  # which advice, on what, how many times as fast
    ("backend", Situation([PYTHON, PRODUCT], ROOF, ["numpy"]), 4.0),
    ("backend", Situation([PRODUCT], ROOF, ["numpy"]), None),
    ("backend", Situation([PYTHON, *[PRODUCT] * 100], ROOF, ["numpy"]), None),  # not worth it
    ("far_below", Situation([SLOW, PRODUCT], ROOF, []), 2.0),
    ("far_below", Situation([PRODUCT, WAITING], ROOF, []), None),
    ("far_below", Situation(TINY, ROOF, []), None),  # not the kernels' fault
    ("larger_batch", Situation([NARROW], ROOF, [], tokens=8), 10.0),
    ("larger_batch", Situation([PRODUCT], ROOF, []), None),
    ("small_calls", Situation(TINY, ROOF, [], tokens=8), 8.0),
    ("small_calls", Situation([PRODUCT, *TINY[:10]], ROOF, []), None),
    ("precision", Situation([PRODUCT], FAST16, []), 4.0),
    ("precision", Situation([DOUBLE], ROOF, []), 2.0),
    ("precision", Situation([PRODUCT], ROOF, []), None),  # bfloat16 wasn't measured
    ("precision", Situation([UPDATE], FAST16, []), None),  # the weights stay as they are
    ("threads", Situation([PRODUCT], ROOF, [], cores=4), 4.0),
    ("threads", Situation([PRODUCT, WAITING], ROOF, [], cores=2), 4 / 3),
    ("threads", Situation([WAITING], ROOF, [], cores=4), None),
    ("threads", Situation([PRODUCT], ROOF, [], cores=1), None),
    ("rarer_updates", Situation([PRODUCT, UPDATE], ROOF, []), 8 / 5),
    ("rarer_updates", Situation([PRODUCT, PRODUCT, PRODUCT], ROOF, []), None),
    ("nothing_left", Situation([PRODUCT, WAITING], ROOF, []), 1.0),
    ("nothing_left", Situation([SLOW], ROOF, []), None),
    ("nothing_left", Situation([call(flops=1, nbytes=4)], ROOF, []), None),  # not timed
]  # fmt: skip


@pytest.mark.parametrize(("name", "at", "gain"), SITUATIONS, ids=[f"{row[0]}-{i}" for i, row in enumerate(SITUATIONS)])
def test_advice_on_planted_situations(name: str, at: Situation, gain: float | None) -> None:
    found = getattr(advice, name)(at)
    assert (found is None) == (gain is None)
    if found is not None and gain is not None:
        assert found.gain == pytest.approx(gain, rel=0.02)
        assert found in advise(at)
        assert re.search(r"\d", found.because)


def test_every_advice_has_a_situation_for_it_and_one_against_it() -> None:
    for function in advice.ALL:
        gains = [gain for name, _, gain in SITUATIONS if name == function.__name__]
        assert None in gains
        assert len(gains) > gains.count(None)


@pytest.mark.parametrize(("points", "backends", "said"), [
    ([PYTHON], ["numpy"], "in a pipeline: backend: numpy"),
    ([PYTHON, PRODUCT], ["numpy"], "why relu2 fell back"),
    ([PYTHON], [], "install"),
])  # fmt: skip
def test_advice_on_backends_says_what_to_do(points: list[Point], backends: list[str], said: str) -> None:
    (found,) = (one for one in advise(Situation(points, ROOF, backends)) if "pure Python" in one.because)
    assert said in found.what


@pytest.mark.parametrize(("accumulation", "batches"), [(1, 4), (8, 32)])
def test_updates_are_made_rarer_than_they_are(accumulation: int, batches: int) -> None:
    found = advice.rarer_updates(Situation([PRODUCT, UPDATE], ROOF, [], accumulation=accumulation))
    assert found is not None
    assert found.what.startswith(f"update after {batches} batches")
    assert f"accumulation: {batches}" in found.what


def test_no_advice_asks_for_what_a_golden_model_or_a_run_refuses() -> None:
    found = [getattr(advice, name)(at) for name, at, gain in SITUATIONS if gain is not None]
    assert not [one.what for one in found if "--set" in one.what]


def test_the_greatest_gain_comes_first() -> None:
    gains = [one.gain for one in advise(Situation([PYTHON, SLOW, PRODUCT, UPDATE], FAST16, ["numpy"], cores=4))]
    assert len(gains) > 3
    assert gains == sorted(gains, reverse=True)
