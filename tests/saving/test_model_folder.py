"""A model's folder: what is written is read again; what is missing, damaged or doesn't fit is named."""

import json
import random
from pathlib import Path

import pytest

from microgpt_core.errors import CheckpointError, UnknownNameError
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.models.gpt import GPT
from microgpt_core.saving.model_folder import write_model
from microgpt_core.storage.atomic import atomic_folder
from microgpt_core.storage.safetensors import read_safetensors, write_safetensors
from microgpt_core.text.char import Char


def model(precision: str = "float32", **fields) -> GPT:
    made = GPT(**{"vocab_size": 4, "block_size": 5, "n_head": 2, "n_embd": 4, **fields})
    made.allocate(precision)
    made.initialise(random.Random(2))
    return made


@pytest.fixture
def tokenizer() -> Char:
    return Char().train(["abc"])


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Char) -> Path:
    with atomic_folder(tmp_path / "model") as path:
        write_model(path, model(), tokenizer, {"run": "names", "step": "7"})
    return tmp_path / "model"


def edit(path: Path, change) -> None:
    """Change a file's JSON, without a manifest to notice."""
    (path.parent / "manifest.json").unlink(missing_ok=True)
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_is_written_is_read_again(tmp_path: Path, tokenizer: Char, precision: str) -> None:
    written = model(precision, activation="relu", n_layer=2, mlp_ratio=2)
    write_model(tmp_path, written, tokenizer)
    read = LanguageModel.load(tmp_path)
    assert read.model.config() == written.config()
    assert read.model.precision == precision
    assert read.tokenizer.to_dict() == tokenizer.to_dict()
    assert {n: x.tobytes() for n, x in read.model.state().items()} == {
        n: x.tobytes() for n, x in written.state().items()
    }


def test_the_configuration_says_what_it_is(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["schema"] == 1
    assert config["precision"] == "float32"
    assert config["about"] == {"run": "names", "step": "7"}
    assert config["model"] == {
        "use": "gpt", "vocab_size": 4, "block_size": 5, "n_layer": 1, "n_head": 2, "n_kv_head": None, "n_embd": 4,
        "mlp_ratio": 4, "n_hidden": None, "activation": "relu2", "norm": "rmsnorm", "norm_weight": False,
        "norm_bias": False, "norm_eps": None, "norm_placement": "pre", "norm_embedding": True, "norm_final": False,
        "position": "learned", "rope_theta": 10000.0, "attention": "attention", "window": None, "bias": False,
        "tie_weights": False, "dropout": 0.0, "init_std": 0.02, "init_output_std": 0.0,
    }  # fmt: skip


def test_a_folder_without_a_manifest_is_read_too(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    assert LanguageModel.load(str(folder)).model.n_parameters == model().n_parameters


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("manifest", [True, False])
def test_a_missing_file_is_named(folder: Path, name: str, manifest: bool) -> None:
    (folder / name).unlink()
    if not manifest:
        (folder / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        LanguageModel.load(folder)


@pytest.mark.parametrize("there", [True, False])
def test_an_empty_or_missing_folder_is_no_model(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "nothing"
    if there:
        folder.mkdir()
    with pytest.raises(CheckpointError, match="nothing is no model folder"):
        LanguageModel.load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_the_manifest_finds_a_changed_byte(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-3] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=f"{name} is damaged"):
        LanguageModel.load(folder)


def test_a_changed_weight_is_not_found_without_the_manifest(folder: Path) -> None:
    """The check above does look at the manifest."""
    before = LanguageModel.load(folder).model.state()
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-3] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    (folder / "manifest.json").unlink()
    after = LanguageModel.load(folder).model.state()
    assert [name for name in before if before[name].tobytes() != after[name].tobytes()] == [list(before)[-1]]


CONFIGS = {
    "no schema": (lambda c: c.pop("schema"), "found schema None, this version of microgpt reads 1"),
    "a later schema": (lambda c: c.update(schema=2), "found schema 2"),
    "no model": (lambda c: c.pop("model"), "it has no 'model'"),
    "a model in words": (lambda c: c.update(model="gpt"), "config.json"),
    "no name": (lambda c: c["model"].pop("use"), "it has no 'use'"),
    "no vocabulary": (lambda c: c["model"].pop("vocab_size"), "vocab_size"),
    "no precision": (lambda c: c.pop("precision"), "it has no 'precision'"),
    "an unknown precision": (lambda c: c.update(precision="float8"), "found 'float8'"),
    "an unknown field": (lambda c: c["model"].update(n_wheels=4), "n_wheels"),
    "an impossible size": (lambda c: c["model"].update(n_head=3), "must be divisible"),
    "a size in words": (lambda c: c["model"].update(n_embd="4"), "n_embd: found 4"),
    "other weights": (
        lambda c: c["model"].update(block_size=6),
        r"wpe.weight is float32 \(5, 4\), expected .*\(6, 4\)",
    ),
    "another precision": (lambda c: c.update(precision="float64"), "expected float64"),
    "one layer more": (lambda c: c["model"].update(n_layer=2), r"block\.1\.\S+ is missing"),
    "a size beyond all memory": (lambda c: c["model"].update(block_size=10**15), "wpe.weight"),
    "another vocabulary": (lambda c: c["model"].update(vocab_size=5), "it has 4 tokens, the model 5"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration_that_doesn_t_fit_is_refused(folder: Path, case: str) -> None:
    change, message = CONFIGS[case]
    edit(folder / "config.json", change)
    with pytest.raises(CheckpointError, match=message) as caught:
        LanguageModel.load(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("use"),
        lambda t: t.pop("characters"),
        lambda t: t.update(version=9),
        lambda t: t.update(add_bos=3),
    ],
)
def test_a_tokenizer_that_doesn_t_fit_is_refused(folder: Path, change) -> None:
    edit(folder / "tokenizer.json", change)
    with pytest.raises(CheckpointError, match="tokenizer.json"):
        LanguageModel.load(folder)


@pytest.mark.parametrize(
    ("file", "where"),
    [("config.json", ("model", "use")), ("tokenizer.json", ("use",)), ("config.json", ("model", "norm"))],
)
def test_a_component_that_nobody_brings_is_named(folder: Path, file: str, where: tuple[str, ...]) -> None:
    def change(value) -> None:
        for key in where[:-1]:
            value = value[key]
        value[where[-1]] = "quux"

    edit(folder / file, change)
    with pytest.raises(UnknownNameError, match="'quux'.*mg.load"):
        LanguageModel.load(folder)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'"gpt"', b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_what_isn_t_a_json_object_is_refused(folder: Path, name: str, text: bytes) -> None:
    (folder / "manifest.json").unlink()
    (folder / name).write_bytes(text)
    with pytest.raises(CheckpointError, match=f"{name}: (this isn't JSON|expected an object)"):
        LanguageModel.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("wte.weight"), "wte.weight is missing, expected float32"),
        (lambda w: w.update(extra=w["wte.weight"]), r"extra is float32 \(4, 4\), expected no such tensor"),
        (
            lambda w: w.update({"wte.weight": w["wpe.weight"]}),
            r"wte.weight is float32 \(5, 4\), expected float32 \(4, 4\)",
        ),
    ],
)
def test_weights_must_match_one_for_one(folder: Path, change, message: str) -> None:
    (folder / "manifest.json").unlink()
    with read_safetensors(folder / "model.safetensors") as saved:
        weights = {name: memoryview(bytearray(x)).cast(x.format, x.shape) for name, x in saved.items()}
    change(weights)
    write_safetensors(folder / "model.safetensors", weights)
    with pytest.raises(CheckpointError, match=message):
        LanguageModel.load(folder)


def test_a_thousand_random_changes_never_escape_as_another_error(folder: Path) -> None:
    """Whatever byte is changed in the two JSON files, it loads or says why not."""
    (folder / "manifest.json").unlink()
    rng = random.Random(5)
    originals = {name: (folder / name).read_bytes() for name in ("config.json", "tokenizer.json")}
    refused = 0
    for _ in range(1000):
        name = rng.choice(list(originals))
        data = bytearray(originals[name])
        for _ in range(rng.choice([1, 1, 2, 8])):
            at = rng.randrange(len(data))
            data[at : at + rng.choice([0, 1, 1, 5])] = rng.choice(
                [b"", b"0", b'"', b"9", b"-", bytes([rng.randrange(256)])]
            )
        (folder / name).write_bytes(data)
        try:
            LanguageModel.load(folder)
        except (CheckpointError, UnknownNameError):
            refused += 1
        (folder / name).write_bytes(originals[name])
    assert refused > 500
