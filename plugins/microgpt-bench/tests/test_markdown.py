"""Reports as Markdown and as a picture."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from microgpt_bench.report.chart import BARS, NAMES, WIDTH, chart
from microgpt_bench.report.markdown import table, to_markdown
from microgpt_bench.results.result import Report, Result

SVG = "{http://www.w3.org/2000/svg}"


def one(model: str, candidate: str, ms: float, **more: object) -> Result:
    return Result("step", model, candidate, "float32", 1, 8, ms, ms / 1.1, ms * 1.2, 8e3 / ms, 50, 1, ((ms,),), **more)  # type: ignore[arg-type]


@pytest.fixture
def report() -> Report:
    results = [one("e16", "numpy", 1.0), one("e16", "torch<&>", 2.0, peer=True), one("e64", "numpy", 4.0)]
    return Report({"cpu": "one", "python": "cpython 3.12.1"}, results)


def test_markdown_has_the_table_a_bar_for_each_and_the_machine(report: Report) -> None:
    text = to_markdown(report)
    assert "| model | candidate |" in text
    assert "numpy float32" + " " * 5 + "█" * 20 in text
    assert "torch<&> float32  " + "█" * 10 + " " in text
    assert "e64, tokens" not in text  # one alone has nothing to be compared with
    assert text.endswith("* one, cpython 3.12.1\n")


def test_a_pipe_in_a_cell_ends_no_column() -> None:
    assert table(["a"], [["x|y"]]).splitlines()[2] == "| x\\|y |"


def test_the_picture_is_to_scale_and_well_formed(report: Report) -> None:
    root = ElementTree.fromstring(chart(report))
    numpy, torch, alone = (float(bar.get("width", 0)) for bar in root.iter(f"{SVG}rect"))
    assert numpy == pytest.approx(2 * torch, abs=0.1)
    assert alone == pytest.approx(numpy)  # each model has a scale of its own
    assert [bar.get("class") for bar in root.iter(f"{SVG}rect")] == ["own", "peer", "own"]
    assert all(float(line.get("x2", 0)) <= NAMES + BARS < WIDTH for line in root.iter(f"{SVG}line"))
    assert "torch<&>" in [text.text for text in root.iter(f"{SVG}text")]


def test_a_clock_that_saw_no_time_pass_is_no_error() -> None:
    timeless = [replace(one("e16", name, 1.0), median_ms=0.0, p10_ms=0.0, tokens_per_s=0.0) for name in ("a", "b")]
    found = Report({}, timeless)
    assert [bar.get("width") for bar in ElementTree.fromstring(chart(found)).iter(f"{SVG}rect")] == ["0.0", "0.0"]
    assert "a float32" in to_markdown(found)


def test_an_empty_report_is_no_error() -> None:
    empty = Report({}, [])
    assert ElementTree.fromstring(chart(empty)).tag == f"{SVG}svg"
    assert isinstance(to_markdown(empty), str)
