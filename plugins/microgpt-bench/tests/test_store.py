"""Reports in files: what is saved comes back and fits the schema; what isn't a report is refused, with its place."""

import json
from importlib.resources import files
from math import inf
from pathlib import Path
from typing import Any

import jsonschema
import numpy
import pytest

from microgpt_bench.bench import Question, bench
from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.race import Effort, Timed
from microgpt_bench.results.machine import blas
from microgpt_bench.results.result import Ratio, Report, Result, part_results, result
from microgpt_bench.results.store import as_json, default_path, load, save
from microgpt_core.errors import ConfigurationError

SCHEMA = json.loads(files("microgpt_bench.results").joinpath("schema.json").read_text(encoding="utf-8"))
CHECK = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture(scope="module")
def measured() -> Report:
    """What this machine gives."""
    return bench(Question("ops", ["e16"], ["reference"]), Effort(rounds=2, processes=1, block_seconds=0.001))


def made() -> Report:
    rounds = ((1.0, 1.5), (2.0, 1.0))
    one = Result("step", "e16", "numpy", "float32", 1, 8.0, 1.2, 1.0, 2.0, 6e3, 50.0, 0.7, rounds, yardstick_ms=rounds)
    ratio = Ratio("step", "e16", "numpy", "float32", "torch", "eager", "float32", 3.0, 2.5, 3.5, False)
    facts = {"time": "2026-01-01T00:00:00+00:00", "cpu": "one", "features": ["avx2"], "cores": 2, "system": "Linux"}
    machine = facts | {"python": "cpython 3.12.1", "versions": {"numpy": "2.0"}, "packs": {}, "git": None}
    return Report(machine, [one], [ratio], {"e16: x": "not here"}, {"e16: torch": {"losses": 1e-7}})


def test_what_is_saved_comes_back(measured: Report, tmp_path: Path) -> None:
    for report in (measured, made()):
        save(report, tmp_path / "new" / "folder" / "a.json")
        assert load(tmp_path / "new" / "folder" / "a.json") == report


def test_what_is_measured_agrees_with_the_schema(measured: Report) -> None:
    assert len(measured.results) > 10
    for report in (measured, made()):
        CHECK.validate(json.loads(as_json(report)))


def test_the_schema_knows_every_field_and_so_do_the_formats_of_the_issue() -> None:
    plain, known = made().to_dict(), SCHEMA["properties"]
    assert set(plain) == set(known)
    for part in ("results", "ratios"):
        assert set(plain[part][0]) == set(known[part]["items"]["properties"])
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_disagreement_without_size_is_kept_as_the_largest_number(tmp_path: Path) -> None:
    report = made()
    report.agreement["e16: torch"]["losses"] = inf
    save(report, tmp_path / "a.json")
    assert load(tmp_path / "a.json").agreement["e16: torch"]["losses"] > 1e300


@pytest.mark.parametrize(("ns", "rate"), [(2e6, 4e3), (0.0, 0.0)])
def test_rates_are_of_whole_turns_that_took_time(ns: float, rate: float) -> None:
    """A coarse clock sees no time pass in a short turn, and an op has no tokens of its own."""
    timed = Timed(Candidate("numpy"), [[ns]], [[]], [[{"add.forward": ns}]], [[1.0]], {"tokens": 8})
    whole, (op,) = result("ops", "e16", timed, roof_s=1e-3), part_results("ops", "e16", timed)
    assert (whole.tokens, whole.tokens_per_s, whole.roof_share) == (8.0, rate, 0.5 if ns else None)
    assert (op.tokens, op.tokens_per_s) == (0.0, 0.0)


def test_the_library_behind_numpy_needs_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy, "show_config", lambda mode: {"Build Dependencies": {"blas": {"name": "scipy-openblas"}}})
    assert blas() == "OpenBLAS"


def changed(where: str, value: Any) -> dict[str, Any]:
    """The made report with another value at results.0.model; without that field where the value is `...`."""
    plain: dict[str, Any] = json.loads(as_json(made()))
    *path, last = (int(name) if name.isdigit() else name for name in where.split("."))
    place: Any = plain
    for name in path:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return plain


WRONG: dict[str, tuple[Any, str]] = {
    "schema": (2, "schema: found 2, allowed: 1"),
    "machine": ([], "the file.machine: found [], allowed: an object"),
    "results": ({}, "the file.results: found {}, allowed: a list"),
    "ratios": (None, "the file.ratios: found None, allowed: a list"),
    "results.0.model": (3, "the file.results[0].model: found 3, allowed: text"),
    "results.0.tokens": ("8", "the file.results[0].tokens: found '8', allowed: a finite number"),
    "results.0.threads": (1.5, "the file.results[0].threads: found 1.5, allowed: a whole number"),
    "results.0.median_ms": (True, "allowed: a finite number"),
    "results.0.roof_share": ("half", "the file.results[0].roof_share: found 'half', allowed: a finite number or null"),
    "results.0.rounds_ms": ([], "the file.results[0].rounds_ms: found [], allowed: at least one round in each process"),
    "results.0.rounds_ms.1": ([-1.0, 1.0], "found -1.0, allowed: times from 0 on"),
    "results.0.p90_ms": (..., "p90_ms, too"),
    "ratios.0.undecided": ("no", "the file.ratios[0].undecided: found 'no', allowed: true or false"),
}


@pytest.mark.parametrize("where", WRONG)
def test_a_wrong_report_is_refused_by_the_schema_and_by_us(where: str, tmp_path: Path) -> None:
    value, message = WRONG[where]
    plain, path = changed(where, value), tmp_path / "a.json"
    assert list(CHECK.iter_errors(plain))
    path.write_text(json.dumps(plain), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


TEXTS = {
    b"": "Expecting value",
    b"[]": "the file: found [], allowed: an object",
    b'{"schema": NaN}': "found 'NaN', allowed: finite numbers",
    b"\xff": "codec can't decode",
    b"[" * 100_000: "recursion",
    json.dumps(changed("results.0.yardstick_ms", [[1.0]])).encode(): "as many as rounds: [2, 2]",
}


@pytest.mark.parametrize("text", TEXTS, ids=TEXTS.values())
def test_what_is_no_report_at_all(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(ConfigurationError, match=r"a\.json") as caught:
        load(tmp_path / "a.json")
    assert TEXTS[text] in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file.*microgpt bench ops --save"):
        load(tmp_path / "a.json")


def test_fields_of_later_versions_are_passed_over(tmp_path: Path) -> None:
    plain = changed("results.0.colour", "red")
    CHECK.validate(plain)
    (tmp_path / "a.json").write_text(json.dumps(plain), encoding="utf-8")
    assert load(tmp_path / "a.json") == made()


def test_the_default_place() -> None:
    assert default_path("step").parent == Path("bench")
    assert default_path("step").name.endswith("-step.json")
    assert ":" not in str(default_path("step"))  # which Windows doesn't allow
