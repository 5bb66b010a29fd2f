"""Every kind of broken pack x every command: what doesn't need the pack works, what uses it says what to do."""

import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import many_packs
import pytest
from click.testing import CliRunner, Result

import microgpt_core as mg
from microgpt_core.cli.main import COMMANDS, main

KINDS = list(many_packs.BROKEN)
SHORT = {"train.max_steps": 1, "dataset.validation": 0.01, "generate.num_samples": 1, "stages": ["train"]}
PIPELINE = "name: names\nmodel: {n_embd: 4, n_head: 1, block_size: 4}\ndataset: {use: names, validation: 0.01}\n" + (
    "train: {max_steps: 1}\nstages: [train]\n"
)

FLAT = many_packs.hook("schedules", "{{'flat': Flat}}") + (
    "from microgpt_core.components import Schedule\n"
    "class Flat(Schedule):\n    'Flat.'\n    name = 'flat'\n    def after_warmup(self, progress): return 1.0\n"
)

# What has nothing to do with packs, or with this one. Whether packs are loaded for it: then the broken one is told.
WITHOUT = {
    "--help": False,
    "--version": False,
    "run --help": False,
    "data list": True,
    "plugins hooks": False,
    "plugins install --dry-run microgpt-x": False,
    "plugins uninstall --dry-run {pack}": False,
    "plugins list": True,
    "plugins list --all --json": True,
    "plugins test good-99": True,
    "list": True,
    "show tokenizer char": True,
    "plan ./plain.yaml": True,
    "run ./plain.yaml": True,
    "run ./plain.yaml --dry-run": True,
    "check ./plain.yaml": True,
    "init --data text.txt --name mine --force": False,
    "export {model} --format json --output model.json --force": True,
    "runs list": False,
    "runs show {model}": True,
    "runs compare {model} {other}": False,
    "generate {model} --num-samples 1 --max-new-tokens 1": True,
    "evaluate {model}": True,
    "evaluate {model} --text names.txt": True,
}
# What uses the pack: it can't work.
USING = ["run ./using.yaml", "plan ./using.yaml", "plugins test {pack}"]
LATE = "missing class"  # found when its component is used: nothing is told before
LOOKS = "data list"  # at every dataset: a pack's says by its class which text it is made of
WORKS = ("output", LATE)  # what it brings, or would bring, is there


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, made before anything was broken."""
    folder = tmp_path_factory.mktemp("model") / "run"
    small = SHORT | {"model.n_embd": 4, "model.n_head": 1, "dataset.validation": 0.001}
    mg.run("names", small, output=folder)
    mg.run("names", small, output=folder.with_name("other"))
    return folder


@pytest.fixture
def i(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The number of the kind, whose pack is installed beside a good one; the folder has pipelines with and without."""
    i = KINDS.index(request.param)
    site = tmp_path / "site"
    site.mkdir()
    many_packs.write_pack(site, "good", 99, FLAT)
    group = "microgpt.plugins.v2" if request.param == "other API" else "microgpt.plugins.v1"
    many_packs.write_pack(site, "broken", i, many_packs.BROKEN[request.param], group)
    discover = metadata.Distribution.discover
    monkeypatch.setattr(metadata, "distributions", lambda: discover(path=[str(site)]))
    monkeypatch.setenv("MICROGPT_IMPORT_LIMIT", "0.2" if request.param == "endless" else "10")
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    used = f"dataset: lost{i}" if request.param == LATE else f"plugins: [microgpt-broken-{i:02}]"
    Path("names.txt").write_text("emma\n", encoding="utf-8")
    Path("text.txt").write_text("one line and another\n" * 20, encoding="utf-8")
    Path("plain.yaml").write_text(PIPELINE, encoding="utf-8")
    Path("using.yaml").write_text(re.sub("dataset: .*", "", PIPELINE) + used, encoding="utf-8")
    yield i
    for name in [name for name in sys.modules if name.startswith(("broken_", "good_"))]:
        del sys.modules[name]


def microgpt(command: str, i: int, model: Path, code: int = 0) -> Result:
    words = [
        word.format(pack=f"broken-{i:02}", model=model, other=model.with_name("other")) for word in command.split()
    ]
    result = CliRunner().invoke(main, words, prog_name="microgpt")
    assert result.exit_code == code, result.output
    return result


def is_whole(said: str, i: int) -> bool:
    """Whether a message names the distribution, its version and a command for what to do."""
    return f"microgpt-broken-{i:02} 1.{i}" in said and "microgpt plugins " in said


@pytest.mark.parametrize("i", KINDS, indirect=True)
@pytest.mark.parametrize("command", WITHOUT)
def test_what_does_not_use_it_works(
    command: str, i: int, model: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    result = microgpt(command, i, model)
    told = [message for message in caplog.messages if "broken" in message]
    assert len(told) == (WITHOUT[command] and (KINDS[i] != LATE or command == LOOKS))  # once, and once only
    assert all(is_whole(message, i) for message in told)
    assert not result.stdout.startswith("hello")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("i", KINDS, indirect=True)
@pytest.mark.parametrize("command", USING)
def test_what_uses_it_says_what_to_do(command: str, i: int, model: Path) -> None:
    test, works = command.startswith("plugins test"), KINDS[i] == "output"
    result = microgpt(command, i, model, 0 if works else 1 if test else 2)
    assert works or is_whole(result.output, i)
    assert Path("runs").exists() == (works and command.startswith("run"))


@pytest.mark.parametrize("i", KINDS, indirect=True)
def test_the_schema_has_the_others(i: int, model: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It looks at the fields of every component, so it tells of what is found late, too."""
    assert "flat" in microgpt("schema", i, model).stdout
    (told,) = [message for message in caplog.messages if "broken" in message]
    assert is_whole(told, i)


@pytest.mark.parametrize("i", KINDS, indirect=True)
def test_the_doctor_names_it(i: int, model: Path) -> None:
    found = json.loads(microgpt("doctor --json", i, model, code=KINDS[i] != LATE).stdout)
    assert [is_whole(line, i) for line in found["to fix"]] == ([] if KINDS[i] == LATE else [True])


def test_no_command_is_left_out() -> None:
    assert {command.split()[0] for command in (*WITHOUT, *USING)} >= set(COMMANDS) - {"doctor", "schema"}
