"""`check`, `schema`, `init`, `run --dry-run` and MICROGPT_SET: what they print, what they write, how they exit."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from microgpt_core.cli.main import main
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.init import starter
from microgpt_core.pipeline.preview import forecast
from microgpt_core.pipeline.reading.overrides import from_environment
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.reading.yaml_reader import read_yaml
from microgpt_core.plugins.loader import load
from microgpt_core.text.files import near

SHORT = ["--set", "train.max_steps=2", "--set", "dataset.validation=0.01", "--set", "stages=[train]"]
STORY = "Once there was a model that had read one story, and this was it.\n"
POEM = "\n".join(f"item {i} here" for i in range(80))


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def microgpt(*args: str) -> Result:
    return CliRunner().invoke(main, args, prog_name="microgpt")


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8", newline="\n")


def test_check_says_in_a_line_what_is_right_and_writes_nothing() -> None:
    result = microgpt("check", "names")
    assert (result.exit_code, result.stdout.count("\n"), result.stderr) == (0, 1, "")
    assert result.stdout.startswith(
        "names is right: gpt of 4,192 parameters, 4,647 documents of names and 516 held out"
    )
    assert list(Path().iterdir()) == []
    assert json.loads(microgpt("check", "names", "--json").stdout) == {
        "ok": True,
        "about": result.stdout.rstrip("\n"),
        "problems": [],
    }


def test_check_says_what_run_would() -> None:
    write("mine.yaml", "seeed: 1\ntrain: {max_steps: 0}\n")
    checked, run = microgpt("check", "./mine.yaml"), microgpt("run", "./mine.yaml")
    assert (checked.exit_code, checked.stdout) == (run.exit_code, run.stdout) == (2, "")
    assert checked.stderr == run.stderr
    assert "2 problems; nothing was run" in checked.stderr
    found = json.loads(microgpt("check", "./mine.yaml", "--json").stdout)
    places = [(p["file"], p["line"], p["column"]) for p in found["problems"]]
    assert (found["ok"], places) == (False, [("./mine.yaml", 1, 1), ("./mine.yaml", 2, 20)])


@pytest.mark.parametrize("pipeline", ["nmaes", "./nowhere.yaml", "./data.yaml"])
def test_check_has_json_for_what_has_no_place(pipeline: str) -> None:
    write("data.yaml", "dataset: {use: text, path: nowhere}")
    result = microgpt("check", pipeline, "--json")
    assert result.exit_code == 2
    assert [list(problem) for problem in json.loads(result.stdout)["problems"]] == [["message"]]


def test_schema_goes_to_stdout_or_to_a_file() -> None:
    printed = microgpt("schema").stdout
    assert json.loads(printed)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    result = microgpt("schema", "--output", "p.json")
    assert Path("p.json").read_text(encoding="utf-8") == printed
    assert "# yaml-language-server: $schema=p.json" in result.stderr


@pytest.mark.parametrize(
    ("files", "data", "name", "expected"),
    [
        ({"my-texts/story.txt": STORY * 30}, "my-texts/", "my-texts", {"model.block_size": 32, "model.n_layer": 1}),
        ({"story.txt": STORY * 5}, "story.txt", "story", {"model.block_size": 8, "train.max_steps": 100}),
        ({"a/1.txt": STORY * 5, "a/2.txt": STORY * 4}, "a", "a", {"dataset.validation": 0.1}),
        ({"list.txt": POEM}, "list.txt", "list", {"dataset.document": "line", "model.block_size": 16}),
        ({"long.txt": STORY * 4000}, "long.txt", "long", {"dataset.validation": 0.01, "model.n_layer": 2}),
        ({"my text/ö.md": STORY * 30}, "my text/*.md", "mine", {"dataset.path": "my text/*.md"}),
        ({}, None, "mine", {"dataset": "names"}),
    ],
)
def test_init_writes_what_fits_the_text_and_runs(
    files: dict[str, str], data: str | None, name: str, expected: dict[str, object]
) -> None:
    for file, text in files.items():
        write(file, text)
    result = microgpt("init", *(["--data", data] if data else []))
    assert (result.exit_code, result.stdout) == (0, f"wrote {name}.yaml; now: microgpt run ./{name}.yaml\n")
    text = Path(f"{name}.yaml").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line and not line.startswith("#")]) == 4
    found = read_yaml(text, "t").data
    for path, value in expected.items():
        section, _, key = path.partition(".")
        assert (found[section][key] if key else found[section]) == value
    assert microgpt("check", f"./{name}.yaml").exit_code == 0
    smaller = ["--set", "train.max_steps=2", "--set", "generate.num_samples=1", "--set", "train.eval_batches=1"]
    assert microgpt("run", f"./{name}.yaml", *smaller, "--set", "stages=[train, generate]").exit_code == 0


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.txt": "the same line\n" * 100}, "all lines are the same"),
        ({"a.txt": STORY * 6, "b.txt": STORY * 6}, "all files are the same"),
    ],
)
def test_init_refuses_what_check_would(files: dict[str, str], said: str) -> None:
    for file, text in files.items():
        write(f"data/{file}", text)
    result = microgpt("init", "--data", "data")
    assert (result.exit_code, said in result.stderr, list(Path().glob("*.yaml"))) == (2, True, [])


def test_a_name_with_spaces_is_pasteable() -> None:
    write("story.txt", STORY * 30)
    said = 'microgpt run "./my story.yaml"'
    assert said in microgpt("init", "--data", "story.txt", "--name", "my story").stdout
    assert said in Path("my story.yaml").read_text(encoding="utf-8")
    assert "$schema=my%20schema.json" in microgpt("schema", "--output", "my schema.json").stderr


def test_init_never_overwrites_unless_it_is_told_to() -> None:
    write("story.txt", STORY * 30)
    write("story.yaml", "mine")
    refused = microgpt("init", "--data", "story.txt")
    assert (refused.exit_code, Path("story.yaml").read_text(encoding="utf-8")) == (2, "mine")
    assert "story.yaml is there already" in refused.stderr
    assert microgpt("init", "--data", "story.txt", "--name", "other").exit_code == 0
    assert microgpt("init", "--data", "story.txt", "--force").exit_code == 0
    assert Path("story.yaml").read_text(encoding="utf-8").startswith("# Learns from story.txt")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--data", "nowhere"], "nowhere: is no file, no folder"),
        (["--data", "short.txt"], "10 characters are too few to learn from"),
        (["--data", "short.txt", "--name", "a/b"], "can't be a file's name"),
    ],
)
def test_init_says_what_it_can_not_begin_with(args: list[str], said: str) -> None:
    write("short.txt", "ten letter")
    result = microgpt("init", *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not list(Path().glob("*.yaml"))


def test_a_path_stays_a_path_whatever_is_in_it() -> None:
    for path in ("a: b", "#x", "ö & y", "it's", "1", "~x", "[a]"):
        write(f"{path}/a.txt", STORY * 30)
        assert read_yaml(starter(path, "./x.yaml"), "t").data["dataset"]["path"] == path


def test_init_says_what_is_really_held_out() -> None:
    """Of a few short documents a whole one is more than was asked for; of long ones it is the end of each."""
    write("one/a.txt", STORY * 30)
    assert ". 10% is held out, to judge by.\n" in starter("one", "./x.yaml")
    write("two/a.txt", STORY * 10)
    write("two/b.txt", STORY * 10 + "!")
    assert ". 50% is held out, to judge by: whole documents.\n" in starter("two", "./x.yaml")
    write("long/a.txt", "a quiet word " * 1600)
    write("long/b.txt", "another word " * 2400)
    assert "# 2 documents of 52,000 characters, 13 different ones. 10% is held out, to judge by.\n" in starter(
        "long", "./x.yaml"
    )
    assert microgpt("init", "--data", "long").exit_code == 0
    said = microgpt("run", "./long.yaml", *SHORT).stderr
    assert "long: 2 documents, 2 held out; 14 tokens" in said


def test_long_files_that_are_all_the_same_are_cut_at_the_same_place() -> None:
    for name in ("a", "b"):
        write(f"data/{name}.txt", STORY * 30)
    assert ". 10% is held out, to judge by.\n" in starter("data", "./x.yaml")


def test_init_suggests_the_folder_that_may_be_meant() -> None:
    write("my-texts/a.txt", STORY * 30)
    assert "a file (did you mean 'my-texts'?) (looked in " in microgpt("init", "--data", "my-text/").stderr
    assert "a file (looked in " in microgpt("init", "--data", "no-folder/my-text").stderr
    assert near(Path("my-texts")) == ""  # what is there isn't suggested in its own place: a pipe, say


def test_init_writes_the_encoding_into_the_pipeline() -> None:
    Path("old.txt").write_bytes((STORY.replace("a", "à") * 30).encode("latin-1"))
    assert (
        "line 1 isn't utf-8 text; set `--encoding` (latin-1 and cp1252 are frequent)"
        in microgpt("init", "--data", "old.txt").stderr
    )
    assert microgpt("init", "--data", "old.txt", "--encoding", "latin-1").exit_code == 0
    assert "encoding: latin-1" in Path("old.yaml").read_text(encoding="utf-8")
    assert microgpt("check", "./old.yaml").exit_code == 0
    assert (
        "unknown encoding: latin-x"
        in microgpt("init", "--data", "old.txt", "--encoding", "latin-x", "--name", "x").stderr
    )


def test_init_names_its_own_option_where_the_text_begins_as_utf_16_does() -> None:
    Path("old.txt").write_bytes((STORY * 30).encode("utf-16"))
    assert "it begins as utf-16 does: set `--encoding utf-16`\n" in microgpt("init", "--data", "old.txt").stderr
    assert microgpt("init", "--data", "old.txt", "--encoding", "utf-16").exit_code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["my texts"], "unexpected 'my texts': a text of your own is named so: --data \"my texts\""),
        (["--data", "a.md", "b.md"], "unexpected 'b.md': found a.md already; a glob goes in quotes"),
    ],
)
def test_init_says_how_a_text_is_named(args: list[str], said: str) -> None:
    result = microgpt("init", *args)
    assert (result.exit_code, said in result.stderr) == (2, True)


@pytest.mark.parametrize("name", ["x", "x.yaml", "x.yml"])
def test_init_writes_one_suffix(name: str) -> None:
    assert microgpt("init", "--name", name).stdout.startswith("wrote x.yaml; now: microgpt run ./x.yaml")
    assert [file.name for file in Path().iterdir()] == ["x.yaml"]


def test_dry_run_prints_the_resolved_file_and_the_rest_in_comments() -> None:
    result = microgpt("run", "names", "--dry-run", *SHORT)
    assert (result.exit_code, result.stderr, list(Path().iterdir())) == (0, "", [])
    resolved = read_yaml(result.stdout, "t").data
    assert resolved["train"]["max_steps"] == 2
    comments = [line for line in result.stdout.splitlines() if line.startswith("#")]
    assert [line.split()[1] for line in comments] == ["plan", "memory", "disk", "time", "go"]
    write("again.yaml", result.stdout)
    assert microgpt("check", "./again.yaml").exit_code == 0


def test_dry_run_json_and_no_go(monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(microgpt("run", "names", "--dry-run", "--json", *SHORT).stdout)
    assert (found["go"], found["parameters"], found["pipeline"]["train"]["max_steps"]) == (True, 4192, 2)
    assert found["training_seconds"] > 0
    assert found["memory"]["peak"] > found["memory"]["parameters"]
    monkeypatch.setattr(forecast, "available_memory", lambda: 1000)
    result = microgpt("run", "names", "--dry-run", *SHORT)
    assert result.exit_code == 4
    assert "# no go: the run needs" in result.stdout
    assert "# time   unknown" in result.stdout
    assert json.loads(microgpt("run", "names", "--dry-run", "--json", *SHORT).stdout)["go"] is False
    assert microgpt("run", "names", "--dry-run", "--force", *SHORT).exit_code == 0


def test_dry_run_of_what_is_done_says_so() -> None:
    assert microgpt("run", "names", *SHORT).exit_code == 0
    assert "has it already" in microgpt("run", "names", "--dry-run", *SHORT).stdout


@pytest.mark.parametrize(
    ("args", "code"),
    [(["names", "--set", "seed=x"], 2), (["--resume", "latest"], 2), (["names", "--output", "."], 2)],
)
def test_dry_run_fails_as_run_does(args: list[str], code: int) -> None:
    assert microgpt("run", "--dry-run", *args).exit_code == code


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", []),
        ("seed=3", ["seed=3"]),
        ("seed=3  model.n_layer=2\ntrain.max_steps=5 ", ["seed=3", "model.n_layer=2", "train.max_steps=5"]),
        ("optimizer.betas=[0.9, 0.95] seed=1", ["optimizer.betas=[0.9, 0.95]", "seed=1"]),
        ("dataset.path=C:\\my texts seed=1", ["dataset.path=C:\\my texts", "seed=1"]),
    ],
)
def test_the_environment_has_overrides_in_a_row(
    given: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROGPT_SET", given)
    assert from_environment() == expected


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MICROGPT_SET", "train.max_steps=7 train.batch_size=3 seed=5")
    result = microgpt("run", "names", "--dry-run", "--json", "--set", "seed=6", "--set", "dataset.validation=0.01")
    found = json.loads(result.stdout)["pipeline"]
    assert (found["seed"], found["train"]["max_steps"], found["train"]["batch_size"]) == (6, 7, 3)
    assert found["optimizer"]["lr"] == 0.02
    assert read_pipeline("names", load(builtin)).seed == 1337  # a program's own calls are what they say


def test_a_mistake_in_the_environment_is_placed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROGPT_SET", "model.n_layr=7")
    said = microgpt("check", "names").stderr
    assert "MICROGPT_SET: model.n_layr: unknown key (did you mean 'n_layer'?)" in said
    assert "--set" not in said
