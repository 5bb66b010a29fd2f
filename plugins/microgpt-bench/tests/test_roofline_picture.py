"""The picture, the page and the command: what a person gets to see of the roofline."""

import json
import random
import re
import shlex
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from microgpt_bench.commands import roofline
from microgpt_bench.commands.roofline import command
from microgpt_bench.golden import GOLDEN
from microgpt_bench.roofline import kept, labels
from microgpt_bench.roofline.advice import Advice
from microgpt_bench.roofline.labels import Box, Dot, Label, place
from microgpt_bench.roofline.page import page
from microgpt_bench.roofline.picture import PLOT, draw
from microgpt_bench.roofline.points import Point, by_op
from microgpt_bench.roofline.roof import Level, Roof
from microgpt_bench.roofline.scale import Scale, rate, seconds, share, size, tick
from microgpt_bench.roofline.subject import find_subject
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline.runs.cpu import cores

ROOT = Path(__file__).parents[3]
PAPER = Box(0, 0, 700, 480)
ROOF = Roof(
    {"float32": 100e9, "float64": 50e9},
    (Level("L1", 32 << 10, 200e9, 90e9, 90e9, 1), Level("memory", None, 20e9, 10e9, 10e9, 1)),
    by="hand",
    notes=("a note",),
)
SVG = "{http://www.w3.org/2000/svg}"


def timed_points() -> list[Point]:
    subject = find_subject("e16", "reference")
    micro, update = (([1000.0 + 500 * i for i in range(len(plan.calls))]) for plan in subject.plans())
    return subject.points((micro, update))


def some_dots(seed: int, n: int = 16) -> list[Dot]:
    rng = random.Random(seed)
    return [Dot(rng.uniform(60, 640), rng.uniform(60, 420), rng.uniform(3, 24)) for _ in range(n)]


def collisions(dots: list[Dot], found: list[Label], taken: list[Box]) -> int:
    boxes = [label.box for label in found] + taken
    return sum(a.overlaps(b) for a, b in combinations(boxes, 2)) + sum(
        dot.touches(label.box, 0.0) for dot in dots for label in found
    )


@pytest.mark.parametrize("seed", range(20))
def test_labels_do_not_collide(seed: int) -> None:
    dots, taken = some_dots(seed), [Box(300, 200, 380, 220)]
    found = place(dots, [(90.0, 14.0)] * len(dots), PAPER, taken)
    assert collisions(dots, found, taken) == 0
    assert all(PAPER.holds(label.box) for label in found)


def test_planted_labels_that_go_where_they_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "free", lambda *_: True)
    dots = some_dots(1)
    assert collisions(dots, place(dots, [(90.0, 14.0)] * len(dots), PAPER, []), []) > 0


def test_a_label_far_from_its_dot_has_a_line_to_it() -> None:
    crowd = [Dot(350, 240, 5), *(Dot(350 + x, 240 + y, 5) for x in (-20, 0, 20) for y in (-20, 0, 20) if x or y)]
    label = place(crowd, [(60.0, 14.0)] * len(crowd), PAPER, [])[0]
    assert label.lead is not None


@pytest.mark.parametrize("known", [True, False], ids=["timed", "not timed"])
def test_the_picture_has_every_op_or_says_why_not(known: bool) -> None:
    groups = by_op(timed_points() if known else find_subject("e16", "reference").points(), ROOF)
    text = draw(groups, ROOF, "e16 on <reference>", "about")
    tree = ElementTree.fromstring(text)
    titles = [t.text or "" for t in tree.iter(f"{SVG}title")]
    assert titles[0] == "e16 on <reference> under the roofline"
    words = " ".join("".join(t.itertext()) for t in tree.iter(f"{SVG}text"))
    for group in groups:
        assert group.name in words
        assert group.flops < 3 or any(t.startswith(f"{group.name}: {group.calls} calls") for t in titles)
    assert all(name in words for name in ("L1", "memory", "float32", "100 GFLOP/s", "20.0 GB/s", "32 KiB"))
    for dot in tree.iter(f"{SVG}circle"):
        if dot.find(f"{SVG}title") is not None:
            assert PLOT.left <= float(dot.attrib["cx"]) <= PLOT.right
            assert PLOT.top <= float(dot.attrib["cy"]) <= PLOT.bottom


def test_a_dot_at_its_roof_lies_on_the_line() -> None:
    flops = 10**6
    product = Point("linear", "forward", "a", "numpy", "float32", flops, 10**5, 10**5, 0, 1e9 * flops / 100e9)
    tree = ElementTree.fromstring(draw(by_op([product], ROOF), ROOF, "t", "a"))
    dot = next(c for c in tree.iter(f"{SVG}circle") if c.find(f"{SVG}title") is not None)
    flat = [
        p.attrib["d"] for p in tree.iter(f"{SVG}path") if p.attrib["class"] == "compute roof" and "H" in p.attrib["d"]
    ]
    assert any(f" {dot.attrib['cy']}H" in d for d in flat)
    assert not [p for p in tree.iter(f"{SVG}path") if "stem" in p.attrib["class"]]


def test_the_page_needs_nothing_else() -> None:
    advice = [Advice("do <this>", "9 of 10", 2.0)]
    made = page(
        "t", "about", draw(by_op(timed_points(), ROOF), ROOF, "t", "a"), [("A", ["h"], [["<c>"]])], advice, ["note"]
    )
    assert not re.search(r"<script|<link|<img|@import|url\(|src=", made)
    assert {*re.findall(r"https?://[^\"' >]+", made)} == {"http://www.w3.org/2000/svg"}
    assert "prefers-color-scheme: dark" in made
    assert all(text in made for text in ("do &lt;this&gt;", "&lt;c&gt;", "2.0 times", "note", "<svg"))


@pytest.mark.parametrize(("shown", "expected"), [
    (rate(106.2e9, "FLOP/s"), "106 GFLOP/s"), (rate(999.9e6, "B/s"), "1.00 GB/s"), (rate(12.0, "B/s"), "12.0 B/s"),
    (size(32 << 10), "32 KiB"), (size(1280 << 10), "1.25 MiB"), (size(9 << 28), "2.25 GiB"), (size(100), "100 bytes"),
    (seconds(1.5), "1.50 s"), (seconds(2.5e-5), "25.0 µs"), (seconds(3e-8), "30.0 ns"), (seconds(1e-11), "<1 ns"),
    (share(0.37), "37 %"), (share(0.0995), "10 %"), (share(0.045), "4.5 %"), (share(0.0002), "0.02 %"),
    (share(1e-7), "<0.01 %"), (tick(1e7), "10 M"), (tick(0.1), "0.1"),
])  # fmt: skip
def test_numbers_as_people_say_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_scale_puts_powers_of_ten_at_even_distances() -> None:
    scale = Scale(0.05, 500, 0, 400)
    at = [scale(v) for v in scale.decades()]
    assert list(scale.decades()) == pytest.approx([0.1, 1, 10, 100])
    assert [b - a for a, b in zip(at, at[1:])] == pytest.approx([100, 100, 100])
    assert all(0.05 <= v <= 500 for v in scale.between())


@pytest.fixture(autouse=True)
def a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine was measured already, and the cache is the test's own."""
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "measured_elsewhere", lambda threads: ROOF)
    monkeypatch.setattr(kept, "peaks_elsewhere", lambda threads: ROOF.peaks)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_the_command_prints_the_machine_and_every_op() -> None:
    done = run("e16", "--backend", "reference", "--no-time")
    assert done.exit_code == 0, done.output
    assert "e16 on reference: 1 thread of" in done.stdout
    assert re.search(r"^L1 +32 KiB +200 GB/s +200 GB/s +90.0 GB/s", done.stdout, re.M)
    assert re.search(r"^linear.backward +7 +112,128 +62,880 +1.78 +compute", done.stdout, re.M)
    assert re.search(r"^step +\d+ +248,465 ", done.stdout, re.M)
    assert "(a note)" in done.stdout
    assert "measuring what this machine can do" in done.stderr


def test_as_json() -> None:
    found = json.loads(run("e16", "--backend", "reference", "--no-time", "--advise", "--json").stdout)
    assert found["model"] == "e16"
    assert Roof.from_dict(found["roof"]) == ROOF
    assert found["step"]["flops"] == sum(op["flops"] for op in found["ops"]) == sum(p["flops"] for p in found["parts"])
    assert isinstance(found["advice"], list)


def test_files() -> None:
    done = run("e16", "--backend", "reference", "--no-time", "--html", "page.html", "--svg", "picture.svg")
    assert done.exit_code == 0, done.output
    assert ElementTree.parse("picture.svg").getroot().tag == f"{SVG}svg"
    assert "By part" in Path("page.html").read_text(encoding="utf-8")


def test_with_both_numbers_given_nothing_is_measured() -> None:
    done = run("e16", "--no-time", "--peak-gflops", "100", "--bandwidth", "20")
    assert done.exit_code == 0, done.output
    assert "measuring" not in done.stderr
    assert "roof by hand" in done.stdout
    assert "L1" not in done.stdout


@pytest.mark.slow
def test_every_golden_model_in_one_table_and_as_json() -> None:
    """The numbers of e16 are those that docs/explanation/roofline.md counts by hand."""
    done = run("--all-configs", "--backend", "reference")
    assert done.exit_code == 0, done.output
    assert re.search(r"^e16 +linear +14 +168,192 +87,488 +1.92 +compute", done.stdout, re.M)
    assert re.search(r"^e16 +adamw_update +9 +52,832 +113,900 ", done.stdout, re.M)
    assert re.search(r"^e16 +step +\d+ +248,465 ", done.stdout, re.M)
    assert re.search(r"^gpt2 +adamw_update +\d+ .* memory ", done.stdout, re.M)
    found = json.loads(run("--all-configs", "--backend", "reference", "--json").stdout)
    assert Roof.from_dict(found["roof"]) == ROOF
    assert [one["model"] for one in found["models"]] == list(GOLDEN)
    for one in found["models"]:
        assert one["step"]["flops"] == sum(op["flops"] for op in one["ops"]) > 0
        assert one["step"]["bytes"] == sum(op["bytes"] for op in one["ops"]) > 0
        assert all({"calls", "intensity", "bound", "least_s"} <= set(op) for op in one["ops"])
    one = json.loads(run("e16", "--backend", "reference", "--no-time", "--json").stdout)
    assert found["models"][0]["ops"] == one["ops"]


@pytest.mark.parametrize(("arguments", "said"), [
    ([], "expected what to look at"), (["e16", "--all-configs"], "leave out SUBJECT"),
    (["--all-configs", "--advise"], "leave out SUBJECT"), (["--all-configs", "--svg", "a.svg"], "--svg"),
])  # fmt: skip
def test_one_subject_or_all_golden_models(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, said in done.stderr) == (2, True), done.output


def test_every_golden_model_takes_no_settings() -> None:
    assert "always the same" in str(run("--all-configs", "--set", "seed=2").exception)


@pytest.mark.slow
def test_times_come_from_a_process_of_its_own() -> None:
    found = json.loads(run("e16", "--backend", "reference", "--json").stdout)
    assert found["step"]["achieved_s"] > found["step"]["least_s"]


@pytest.mark.parametrize(("arguments", "said"), [
    (["nowhere", "--no-time"], "nowhere"), (["e16", "--set", "seed=2", "--no-time"], "always the same"),
    (["e16", "--backend", "nobody", "--no-time"], "nobody"),
])  # fmt: skip
def test_mistakes_are_the_users(arguments: list[str], said: str) -> None:
    error = run(*arguments).exception
    assert said in str(error)
    assert getattr(error, "exit_code", None) == 2


def test_more_threads_than_cores_are_refused_where_something_is_measured() -> None:
    many = str(cores() + 1)
    for arguments in (["--no-time"], ["--peak-gflops", "100", "--bandwidth", "20"]):
        error = run("e16", "--backend", "reference", "--threads", many, *arguments).exception
        assert isinstance(error, ConfigurationError)
        assert f"found {many}, allowed: at most {cores()}" in str(error)
    elsewhere = run("e16", "--threads", many, "--peak-gflops", "100", "--bandwidth", "20", "--no-time")
    assert elsewhere.exit_code == 0, elsewhere.output


def commands_of(page_: Path) -> list[str]:
    return re.findall(r"^\$ microgpt roofline (.*)$", page_.read_text(encoding="utf-8"), re.M)


def test_every_command_of_the_page_and_of_the_help_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the seconds that timing takes, and on the backend that is always there."""
    monkeypatch.setattr(roofline, "times", lambda *_: None)
    monkeypatch.setattr(roofline, "SECONDS", 0.0)
    said = commands_of(ROOT / "docs" / "explanation" / "roofline.md")
    helped = re.findall(r"^  microgpt roofline (.*?)(?:  .*)?$", roofline.EXAMPLES, re.M)
    assert len(said) >= 3
    assert len(helped) >= 4
    for words in dict.fromkeys(said + helped):
        done = run(*shlex.split(words.replace("--backend numpy", "--backend reference")))
        assert done.exit_code == 0, f"{words}: {done.output} {done.exception}"
