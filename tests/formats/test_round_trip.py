"""Formats that are read back give the same bits; damaged files are named, and never half read."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core.components import Format
from microgpt_core.errors import CheckpointError, ConfigurationError, NonFiniteError, StorageError
from microgpt_core.formats.json_file import JSONFile
from microgpt_core.formats.model_folder import ModelFolder
from microgpt_core.formats.program.python_file import PythonFile
from microgpt_core.formats.settings import ExportSettings
from microgpt_core.inference.language_model import LanguageModel, find_in_core

spec = importlib.util.spec_from_file_location("members", Path(__file__).with_name("members.py"))
assert spec is not None
assert spec.loader is not None
members = importlib.util.module_from_spec(spec)
spec.loader.exec_module(members)
MEMBERS, made, characters = members.MEMBERS, members.made, members.characters


def bits(model: Any) -> dict[str, bytes]:
    return {name: bytes(x) for name, x in model.state().items()}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("fields", MEMBERS, ids=str)
@pytest.mark.parametrize("format", [ModelFolder(), JSONFile()], ids=lambda f: f.name)
def test_what_is_read_back_is_the_same_to_the_bit(
    format: Format, fields: dict[str, Any], precision: str, tmp_path: Path
) -> None:
    model, tokenizer, path = made(precision=precision, **fields), characters(), tmp_path / f"model{format.suffix}"
    model.state()["wte.weight"].cast("B").cast(model.wte.weight.value.format)[0] = -0.0
    format.write(model, tokenizer, path)
    read, spelled = format.read(path, find_in_core)
    assert (read.config(), read.precision, bits(read)) == (model.config(), precision, bits(model))
    assert spelled.to_dict() == tokenizer.to_dict()
    again = tmp_path / f"again{format.suffix}"
    format.write(read, spelled, again)
    if format.suffix:
        assert again.read_bytes() == path.read_bytes()
    assert mg.load(path).generate("ab", seed=1) == LanguageModel(model, tokenizer).generate("ab", seed=1)


def test_which_can_be_read() -> None:
    assert [f.readable for f in (ModelFolder(), JSONFile(), PythonFile())] == [True, True, False]


def damaged(change: Any) -> Any:
    def apply(saved: dict[str, Any]) -> str:
        change(saved)
        return json.dumps(saved)

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda saved: "", "this isn't JSON"),
        (lambda saved: json.dumps(saved)[:-30], "this isn't JSON"),
        (lambda saved: "[]", "expected an object"),
        (damaged(lambda s: s.pop("kind")), "found None of schema 1, expected 'microgpt model'"),
        (damaged(lambda s: s.update(schema=2)), "of schema 2"),
        (damaged(lambda s: s.pop("tensors")), "it has no 'tensors'"),
        (damaged(lambda s: s["tensors"].pop("wpe.weight")), "wpe.weight is missing"),
        (damaged(lambda s: s["tensors"].update(more=[1.0])), "more is no tensor of this model"),
        (damaged(lambda s: s["tensors"]["wpe.weight"].pop()), r"wpe.weight is \(7, 8\), expected \(8, 8\)"),
        (damaged(lambda s: s["tensors"]["wpe.weight"][0].pop()), "lists of one length"),
        (damaged(lambda s: s["tensors"]["wpe.weight"].__setitem__(0, ["a"] * 8)), "not all of these numbers"),
        (damaged(lambda s: s["tensors"]["wpe.weight"][0].__setitem__(0, float("nan"))), "all finite"),
        (damaged(lambda s: s["tensors"]["wpe.weight"][0].__setitem__(0, 1e300)), "all finite"),
        (damaged(lambda s: s["tokenizer"].update(characters="ab")), "the tokenizer has 3 tokens, the model 9"),
        (damaged(lambda s: s["model"].update(n_layer=0)), "n_layer: found 0"),
        (damaged(lambda s: s.update(precision="float16")), "precision: found 'float16'"),
    ],
)
def test_a_damaged_json_file_is_named(change: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    JSONFile().write(made(), characters(), path)
    path.write_text(change(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    with pytest.raises(CheckpointError, match=message) as raised:
        mg.load(path)
    assert str(path) in str(raised.value)


def test_json_holds_no_infinity(tmp_path: Path) -> None:
    model = made()
    model.state()["wpe.weight"].cast("B").cast("f")[3] = float("inf")
    with pytest.raises(NonFiniteError, match="wpe.weight"):
        JSONFile().write(model, characters(), tmp_path / "model.json")


def test_a_file_that_no_format_reads(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"no model can be read from one but \.json"):
        mg.load(tmp_path / "model.py")


@pytest.mark.parametrize("name", ["python", "json", "safetensors"])
def test_an_export_is_only_ever_put_in_place_of_an_export(name: str, tmp_path: Path) -> None:
    model = LanguageModel(made(), characters())
    path = mg.export(model, name, tmp_path / "exported")
    with pytest.raises(ConfigurationError, match="exists already; .* --force"):
        mg.export(model, name, path)
    assert mg.export(model, name, path, force=True) == path
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="is a folder and no .* --force won't replace it"):
        mg.export(model, name, tmp_path / "mine", force=True)
    (tmp_path / "file").write_text("", encoding="utf-8")
    if name == "safetensors":
        with pytest.raises(ConfigurationError, match="is a file and no safetensors export"):
            mg.export(model, name, tmp_path / "file", force=True)
    with pytest.raises(StorageError, match="there is no folder"):
        mg.export(model, name, tmp_path / "nowhere" / "model")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["exported", "file", "mine"]


def test_an_unknown_format_has_a_suggestion() -> None:
    with pytest.raises(ConfigurationError, match="unknown format 'pyhton' .did you mean 'python'"):
        mg.export(LanguageModel(made(), characters()), "pyhton")


FORMAT = '''
from dataclasses import dataclass
from typing import ClassVar
from microgpt_core import Format

@dataclass
class Count(Format):
    """The number of parameters, and nothing else."""
    name: ClassVar[str] = "count"
    suffix: ClassVar[str] = ".txt"

    def write(self, model, tokenizer, path):
        path.write_text(f"{model.n_parameters}\\n", encoding="utf-8")
'''


def test_a_format_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("count.py").write_text(FORMAT, encoding="utf-8")
    model = made()
    path = mg.export(LanguageModel(model, characters()), "count", plugins=["count.py"])
    assert (str(path), path.read_text(encoding="utf-8")) == ("model.txt", f"{model.n_parameters}\n")


@pytest.mark.parametrize(
    ("value", "message"),
    [("", "format: found ''"), ([], r"format: found \[\]"), (["json", "json"], "each format once")],
)
def test_settings_that_make_no_sense(value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ExportSettings(value)
