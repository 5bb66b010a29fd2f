"""Every hook is real: a pack brings a component through it, as an installer leaves packs, and the program uses it.

The packs are the examples of docs/reference/hooks.md. The tests come from the hook specifications, so a new hook
without an example, or without a row below that says what its use is, fails.
"""

import cProfile
import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

import microgpt_core as mg
from microgpt_core import hookspecs
from microgpt_core.cli.main import main
from microgpt_core.plugins.kinds import KINDS
from microgpt_core.testing import test_pack as try_pack

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "scripts" / "hook_examples"

# Hook -> the function of its example that a run (of a peer, the kit) calls only if it uses the component.
USED_BY_A_RUN = {
    "microgpt_ops": "Cube.f",
    "microgpt_kernels": "ReLU2OnLists.forward",
    "microgpt_backends": "InBytes.view",
    "microgpt_tokenizers": "Octets.encode",
    "microgpt_datasets": "Sums.documents",
    "microgpt_transforms": "Shout.apply",
    "microgpt_optimizers": "HeavyBall.attributes",
    "microgpt_schedules": "Halving.after_warmup",
    "microgpt_models": "Bigram.forward",
    "microgpt_analyzers": "Largest.observe",
    "microgpt_callbacks": "AfterTokens.on_step",
    "microgpt_formats": "Lines.write",
    "microgpt_stages": "report",
    "microgpt_passes": "Weights8.rewrite",
    "microgpt_peers": "Steps.run",
}
SHORT = [
    "train.max_steps=2", "train.eval_interval=2", "dataset.validation=0.01", "generate.num_samples=1", "model.n_embd=8",
]  # fmt: skip


def specified(module: ModuleType = hookspecs) -> list[str]:
    """The hooks that a module specifies."""
    return [name for name, value in vars(module).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")]


HOOKS = specified()


def source(kind: str) -> str:
    return (EXAMPLES / f"{kind}.py").read_text(encoding="utf-8")


def untested(hooks: list[str]) -> list[str]:
    """The hooks that no row above uses, or that have no example to use."""
    return [
        hook
        for hook in hooks
        if hook not in USED_BY_A_RUN or not (EXAMPLES / f"{hook.removeprefix('microgpt_')}.py").is_file()
    ]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that writes docs/reference/hooks.md."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("reference_pages.hooks")


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> str:
    """A hook that the specifications have and nothing else."""

    @hookspecs.hookspec
    def microgpt_samplers() -> hookspecs.Components | None:
        """How the next token is drawn."""

    monkeypatch.setattr(hookspecs, "microgpt_samplers", microgpt_samplers, raising=False)
    return "microgpt_samplers"


def called(run, module: str) -> set[str]:
    """The functions of a module that are called while `run` runs, by their qualified names."""
    profile = cProfile.Profile()
    profile.runcall(run)
    file = sys.modules[module].__file__
    codes = [entry.code for entry in profile.getstats() if not isinstance(entry.code, str)]
    return {code.co_qualname for code in codes if code.co_filename == file}


def test_every_hook_has_a_kind_and_a_row() -> None:
    assert [f"microgpt_{kind}" for kind in KINDS] == HOOKS
    assert untested(HOOKS) == []
    assert set(USED_BY_A_RUN) == set(HOOKS)


def test_a_planted_hook_is_noticed(planted: str) -> None:
    assert untested(specified()) == [planted]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_run_uses_what_a_pack_brings(
    hook: str, install, pages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = hook.removeprefix("microgpt_")
    monkeypatch.chdir(tmp_path)
    install(kind, source(kind))

    def use() -> object:
        if kind not in pages.USES:  # no run does: the kit, and benchmarks
            return try_pack(f"microgpt-{kind}")
        return mg.run("names", [*SHORT, *pages.USES[kind].split()])

    found = called(use, f"microgpt_{kind}_{kind}")
    assert {hook, USED_BY_A_RUN[hook]} <= found


@pytest.mark.parametrize("hook", HOOKS)
def test_a_pack_that_is_not_asked_for_is_not_used(
    hook: str, install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: what the test above counts as use doesn't happen by itself."""
    kind = hook.removeprefix("microgpt_")
    monkeypatch.chdir(tmp_path)
    install(kind, source(kind))
    found = called(lambda: mg.run("names", [*SHORT, "backend=reference"]), f"microgpt_{kind}_{kind}")
    assert hook in found
    assert USED_BY_A_RUN[hook] not in found


# The kernel of Python's lists is tried on a million numbers, as every kernel is.
SLOWLY = [pytest.param(hook, marks=pytest.mark.slow) if hook == "microgpt_kernels" else hook for hook in HOOKS]


@pytest.mark.parametrize("hook", SLOWLY)
def test_the_example_passes_the_kit(hook: str) -> None:
    report = try_pack(EXAMPLES / f"{hook.removeprefix('microgpt_')}.py")
    assert report, str(report)


def test_a_command_is_found_by_its_entry_point(install, tmp_path: Path) -> None:
    install("count", source("commands"), group="commands.v1")
    (points,) = (tmp_path / "site").glob("*.dist-info/entry_points.txt")
    points.write_text(points.read_text(encoding="utf-8").replace("_count\n", "_count:command\n"), encoding="utf-8")
    assert "from microgpt-count" in CliRunner().invoke(main, ["--help"]).stdout
    assert CliRunner().invoke(main, ["count", "one two three"]).stdout == "3\n"
