"""`list`, `show` and `data`: for people as text, for programs as JSON, and what `show` prints can be pasted."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from microgpt_core.cli.main import main
from microgpt_core.cli.table import print_table
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.settings import COMPONENTS
from microgpt_core.pipeline.reading.source import packaged
from microgpt_core.pipeline.reading.yaml_reader import read_yaml
from microgpt_core.plugins.loader import load
from microgpt_core.text import cache

MISH = """
from microgpt_core.components import Unary

class Mish(Unary):
    '''Smooth, and a little below zero.'''
    def f(self, x): return x
    def df(self, x): return 1.0
"""
REGISTRY = load(builtin)
IN_SECTIONS = [(section, name) for section, (kind, _) in COMPONENTS.items() for name in REGISTRY.names(kind)]


def run(*args: object) -> str:
    result = CliRunner().invoke(main, [str(a) for a in args], prog_name="microgpt")
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture
def mish(tmp_path: Path) -> Path:
    file = tmp_path / "mish.py"
    file.write_text(MISH, encoding="utf-8")
    return file


def test_list_shows_kinds_with_their_names() -> None:
    lines = {line.split()[0]: line for line in run("list").splitlines()}
    assert "char" in lines["tokenizers"]
    assert "microgpt, names, shakespeare" in lines["pipelines"]
    assert "analyzers" not in lines  # there is none yet


def test_list_of_a_kind_says_what_each_is(mish: Path) -> None:
    lines = run("list", "op", "--plugin", mish).splitlines()
    assert lines[0].split() == ["name", "from", "what", "it", "is"]
    (line,) = [line for line in lines if line.startswith("mish ")]
    assert str(mish) in line
    assert line.endswith("Smooth, and a little below zero.")


def test_list_of_a_kind_says_which_is_broken(tmp_path: Path) -> None:
    source = "from microgpt_core.hookspecs import hookimpl\n@hookimpl\n"
    source += "def microgpt_tokenizers(): return {'bpe': 'nowhere:BPE'}"
    file = tmp_path / "lost.py"
    file.write_text(source, encoding="utf-8")
    assert "ModuleNotFoundError: No module named 'nowhere'; correct the file" in run(
        "list", "tokenizers", "--plugin", file
    )


def test_list_as_json() -> None:
    found = json.loads(run("list", "--json"))
    assert {entry["name"] for entry in found["optimizers"]} == {"adam", "adamw", "sgd"}
    assert set(json.loads(run("list", "schedules", "--json"))) == {"schedules"}


@pytest.mark.parametrize(("section", "name"), IN_SECTIONS)
def test_what_show_prints_can_be_pasted(section: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "pasted.yaml"
    text = run("show", section, name)
    file.write_text(text.replace("path: ", "path: x.txt"), encoding="utf-8")
    pipeline = read_pipeline(file, REGISTRY)
    assert getattr(pipeline, section).name == name
    assert text.startswith(f"# {name}: ")


@pytest.mark.parametrize(
    ("kind", "name", "line"),
    [
        ("op", "relu2", "model: {activation: relu2}"),
        ("op", "softmax", "# softmax(x)"),
        ("backend", "reference", "backend: reference"),
        ("stage", "evaluate", "stages: [train, evaluate]"),
        ("callback", "stop-at", "  - use: stop-at"),
    ],
)
def test_show_says_how_the_other_kinds_are_used(kind: str, name: str, line: str) -> None:
    assert line in run("show", kind, name).splitlines()


@pytest.mark.parametrize(
    ("words", "factors"),
    [
        (["cosine"], "from 1 to 2.467e-06"),
        (["cosine", "--set", "warmup_steps=4", "--max-steps", 8], "from 0.25 to 0.1464"),
        (["constant", "--max-steps", 1], "over 1 steps, from 1 to 1"),
    ],
)
def test_a_schedule_is_drawn(words: list[object], factors: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "picture.svg"
    result = CliRunner().invoke(main, ["show", "schedule", *map(str, words), "--plot", str(file)])
    assert result.exit_code == 0, result.stderr
    assert factors in result.stderr
    assert file.read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["schedule", "cosine", "--set", "warmup_steps=5"], "--set is for --plot FILE"),
        (["optimizer", "sgd", "--plot", "a.svg"], "--plot draws a schedule, not: optimizer"),
        (["schedule", "cosin", "--plot", "a.svg"], "did you mean 'cosine'?"),
        (["schedule", "cosine", "--plot", "a.svg", "--set", "warm_steps=5"], "did you mean 'warmup_steps'?"),
        (["schedule", "cosine", "--plot", "a.svg", "--set", "warmup_steps=-5"], "allowed: 0 or more"),
        (["schedule", "cosine", "--plot", "a.gif"], "allowed: .png, .svg, .pdf"),
    ],
)
def test_what_can_t_be_drawn(words: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["show", *words])
    assert result.exit_code != 0
    assert said in f"{result.stderr} {result.exception}"


def test_show_of_a_one_file_op(mish: Path) -> None:
    text = run("show", "op", "mish", "--plugin", mish)
    assert text.startswith(f"# mish: Smooth, and a little below zero.\n# an op of {mish}\n# mish(x)\n")


def test_show_a_pipeline_prints_its_file() -> None:
    assert run("show", "pipeline", "names") == packaged()["names"].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", packaged())
def test_show_a_pipeline_as_json_has_what_its_file_has(name: str) -> None:
    text = packaged()[name].read_text(encoding="utf-8")
    assert json.loads(run("show", "pipeline", name, "--json")) == read_yaml(text, name).data


def test_show_as_json() -> None:
    found = json.loads(run("show", "model", "gpt", "--json"))
    fields = {f["name"]: f for f in found["fields"]}
    assert (found["kind"], found["pack"], found["distribution"]) == ("models", "core", "microgpt-core")
    assert fields["n_layer"]["default"] == 1
    assert "vocab_size" not in fields
    text = {f["name"]: f for f in json.loads(run("show", "dataset", "text", "--json"))["fields"]}
    assert text["path"]["required"]
    assert "default" not in text["path"]


@pytest.fixture
def small_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that knows one text of five bytes, and the file that has them."""
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path / "cache"))
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    entry = cache.Entry("small", "five letters", "us", "public domain", "https://example.org/small", 5, digest)
    monkeypatch.setattr(cache, "catalogue", lambda: {"small": entry})
    file = tmp_path / "hello.txt"
    file.write_bytes(b"hello")
    return file


def test_data_is_listed_added_and_found(small_text: Path) -> None:
    assert run("data", "list").splitlines()[1].split() == [
        "small", "no", "5", "public", "domain", "2cf24dba5fb0", "five", "letters",
    ]  # fmt: skip
    stored = run("data", "add", "small", small_text).strip()
    assert Path(stored).read_bytes() == b"hello"
    (entry,) = json.loads(run("data", "list", "--json"))
    assert (entry["cached"], entry["licence"], len(entry["sha256"])) == (True, "public domain", 64)
    assert run("data", "get", "small").splitlines()[-1] == stored  # it is there: nothing is fetched
    assert run("data", "get", "small", "--offline").splitlines()[-1] == stored


def test_offline_fetches_nothing(small_text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*given: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr("microgpt_core.text.download.fetch", fetch)
    result = CliRunner().invoke(main, ["data", "get", "small", "--offline"])
    assert result.exit_code == 2
    assert "small isn't in the cache; without a network: microgpt data add small FILE" in result.stderr
    with pytest.raises(AssertionError, match="a connection was asked for"):  # the control
        CliRunner().invoke(main, ["data", "get", "small"], catch_exceptions=False)


def test_data_add_refuses_another_file(small_text: Path) -> None:
    small_text.write_bytes(b"jello")
    result = CliRunner().invoke(main, ["data", "add", "small", str(small_text)])
    assert result.exit_code == 2
    assert "SHA-256" in result.stderr


def test_a_table_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(("name", "what"), [("a", "[bold]b")])
    shown = capsys.readouterr().out
    assert "name" in shown
    assert "[bold]b" in shown
