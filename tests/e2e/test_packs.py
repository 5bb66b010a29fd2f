"""Packs as wheels, from nothing to a run: each comes, is used, is certified and goes; the rest is none the worse."""

import json
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = sorted(file.parent for kind in ("plugins", "contrib") for file in ROOT.glob(f"{kind}/*/pyproject.toml"))
SHORT = ("--set", "train.max_steps=20", "--set", "train.eval_interval=20")
WITHOUT = ("unknown", "there is no command")  # what is said of a component, or a command, whose pack isn't there

# Distribution -> settings of a pipeline that need it.
SETTINGS = {
    "microgpt-numpy": ("--set", "backend=numpy"),
    "microgpt-simd": ("--set", "backend=simd"),
    "microgpt-datasets": ("--set", "transforms=[lower]"),
    "microgpt-optimizers": ("--set", "optimizer={use: lion, lr: 1e-3}"),
    "microgpt-tokenizers": ("--set", "tokenizer={use: bpe, vocab_size: 300}"),
    "microgpt-mish": ("--set", "model.activation=mish"),
    "microgpt-reverse": ("--set", "tokenizer=reverse", "--set", "analyzers=[prediction-entropy]"),
}
# Distribution -> a command that needs it, and prints JSON. A pack without a row here fails the first test below.
USES = {name: ("run", "names", *SHORT, *settings) for name, settings in SETTINGS.items()} | {
    "microgpt-bench": ("bench", "startup", "--what", "import", "--rounds", "1", "--processes", "1"),
}


def test_every_pack_has_a_wheel_and_a_use(wheels: Path) -> None:
    names = [tomllib.loads((p / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"] for p in PROJECTS]
    assert sorted(USES) == sorted(names) == sorted(folder.name for folder in PROJECTS)
    for name in names:
        assert len([*wheels.glob(f"{name.replace('-', '_')}-*.whl")]) == 1, name


def test_a_pack_comes_is_used_and_goes(core_alone) -> None:
    env = core_alone
    assert env.packs() == {}
    for distribution, command in USES.items():
        before = env.microgpt(*command, code=2).stderr
        assert any(said in before for said in WITHOUT)
        env.microgpt("plugins", "install", distribution)
        assert env.packs() == {distribution: "ok"}
        assert env.json(*command)
        env.microgpt("plugins", "uninstall", distribution)
        assert env.packs() == {}
        assert env.microgpt(*command, code=2).stderr == before
    assert env.json("run", "names", *SHORT)["samples"]


def test_one_pack_fewer_leaves_the_others(everything) -> None:
    env = everything
    used = [word for settings in SETTINGS.values() for word in settings]
    run = env.json("run", "names", *SHORT, *used)["folder"]
    env.microgpt("plugins", "uninstall", "microgpt-mish")
    assert env.packs() == dict.fromkeys(set(USES) - {"microgpt-mish"}, "ok")
    said = env.microgpt("generate", run, code=2).stderr
    assert "was made with what isn't here: microgpt-mish" in said
    assert "microgpt plugins install microgpt-mish" in said
    assert env.json(*USES["microgpt-numpy"])["samples"]
    env.microgpt("plugins", "install", "microgpt-mish")  # everything is there again
    assert env.microgpt("generate", run).stdout


def test_every_pack_is_certified_where_all_are_installed(everything) -> None:
    assert everything.packs() == dict.fromkeys(USES, "ok")
    assert "nothing to fix" in everything.microgpt("doctor").stdout
    for distribution in USES:
        assert "checks passed" in everything.microgpt("plugins", "test", distribution).stdout


PIPELINE = """
dataset: {use: names}
model: {activation: mish}
train: {max_steps: 20, eval_interval: 20}
"""


def test_a_pipeline_runs_alike_on_each_backend(everything) -> None:
    """The header says who computes, the run's folder which packs did, and the losses agree within 1e-5."""
    (everything.here / "mish.yaml").write_text(PIPELINE, encoding="utf-8")
    losses: dict[str, list[float]] = {}
    for backend in [found["name"] for found in everything.json("list", "backends")["backends"]]:
        result = everything.microgpt("run", "./mish.yaml", "--set", f"backend={backend}", "--json")
        helped = " + reference" if backend == "simd" else ""  # which has no kernel for mish
        assert f"; {backend}{helped}, float32" in result.stderr
        run = everything.here / json.loads(result.stdout)["folder"]
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        losses[backend] = [json.loads(line)["train/loss"] for line in lines]
        recorded = json.loads((run / "environment.json").read_text(encoding="utf-8"))
        assert recorded["packs"]["mish"].startswith("microgpt-mish ")
    assert sorted(losses) == ["numpy", "reference", "simd"]
    for backend in ("numpy", "simd"):
        assert losses[backend] == pytest.approx(losses["reference"], rel=1e-5)
        assert losses[backend] != losses["reference"]  # the control: two programs computed them
