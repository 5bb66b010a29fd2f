"""`passes:` and `precision:` of a pipeline: which passes a run has, in which order, and who is told of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import microgpt_core as mg
from microgpt_core.cli.main import main
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.runs.backends import find_kernels
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.plugins.loader import load

PACK = '''
from dataclasses import replace

from microgpt_core import Backend, Pass
from microgpt_core.ops.relu2 import ReLU2

class Loud(Backend):
    """Its own passes come by themselves, in this order."""
    name = "loud"
    priority = 5
    passes = ("shout", "call")

class Late(Backend):
    """Never the first."""
    name = "late"
    passes = ("whisper",)

class _Shouted(ReLU2):
    name = "shouted"

class Shout(Pass):
    """relu2, only louder."""
    name = "shout"
    fuses = ("relu2", "linear")

    def rewrite(self, trace, kept):
        calls = [replace(c, op=_Shouted()) if type(c.op) is ReLU2 else c for c in trace.calls]
        return replace(trace, calls=calls)

class _Idle(Pass):
    def rewrite(self, trace, kept):
        return trace

class Call(_Idle):
    """Nothing."""
    name = "call"

class Whisper(_Idle):
    """Less."""
    name = "whisper"

class BFloat16(_Idle):
    """What `precision: bfloat16` asks for; this one rounds nothing."""
    name = "bfloat16"
'''
ODD = """
from microgpt_core import hookimpl

@hookimpl
def microgpt_passes():
    return {"odd": "no_such:Odd"}
"""
SHORT = {
    "train.max_steps": 2, "generate.num_samples": 1, "dataset.validation": 0.01, "model.n_embd": 8,
    "train.batch_size": 1,
}  # fmt: skip


CHOICES = [
    ({}, ["shout", "call"]),
    ({"passes": "auto"}, ["shout", "call"]),
    ({"passes": []}, []),
    ({"passes": "whisper"}, ["whisper"]),
    ({"passes": ["call", "loud/shout"]}, ["call", "shout"]),
    ({"backend": "reference"}, []),
    ({"backend": ["late", "loud"]}, ["whisper"]),
    ({"backend": ["reference", "loud"]}, []),
    ({"backend": "reference", "passes": "shout"}, ["shout"]),
    ({"kernels": {"relu2": "reference"}}, ["call"]),
    ({"kernels": {"gelu": "reference"}}, ["shout", "call"]),
    ({"kernels": {"relu2": "reference"}, "passes": ["shout"]}, ["shout"]),
    ({"precision": "bfloat16"}, ["shout", "call", "bfloat16"]),
    ({"precision": "bfloat16", "passes": []}, ["bfloat16"]),
    ({"precision": "bfloat16", "passes": ["bfloat16", "call"]}, ["bfloat16", "call"]),
]


@pytest.mark.parametrize(("overrides", "expected"), CHOICES, ids=[json.dumps(given) for given, _ in CHOICES])
def test_which_passes_a_run_has(pack: Path, overrides: dict[str, Any], expected: list[str]) -> None:
    registry = load(builtin, [pack])
    kernels = find_kernels(read_pipeline("names", registry, overrides), registry)
    assert [each.name for each in kernels.passes] == expected


MISTAKES = [
    ({"passes": "atuo"}, "passes: unknown pass 'atuo' (did you mean 'auto'?); known: auto, bfloat16, call"),
    ({"passes": ["shuot"]}, "passes[0]: unknown pass 'shuot' (did you mean 'shout'?); known: bfloat16, call"),
    ({"passes": 3}, "passes: expected text or a list, found 3"),
]


@pytest.mark.parametrize(("overrides", "said"), MISTAKES)
def test_a_name_that_is_none_is_told_with_its_place(pack: Path, overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(PipelineError) as error:
        read_pipeline("names", load(builtin, [pack]), overrides)
    assert said in str(error.value)


def test_a_pass_that_nobody_asks_for_isnt_made(pack: Path) -> None:
    """One that can't even be imported is an error for whoever names it, and for nobody else."""
    odd = pack.with_name("odd.py")
    odd.write_text(ODD, encoding="utf-8")
    registry = load(builtin, [pack, odd])
    assert find_kernels(read_pipeline("names", registry), registry).passes
    with pytest.raises(mg.MicrogptError, match="pass 'odd' of"):
        find_kernels(read_pipeline("names", registry, {"passes": "odd"}), registry)


def test_a_run_says_which_and_writes_them_down(run: Callable[..., tuple[Run, str]]) -> None:
    made, text = run(precision="bfloat16")
    assert "loud" not in text.splitlines()[0]  # it has no kernels
    assert text.splitlines()[0].endswith("reference, bfloat16; passes: shout, call")
    recorded = json.loads((made.folder / "environment.json").read_text(encoding="utf-8"))
    assert recorded["passes"] == ["shout", "call", "bfloat16"]
    assert made.network.precision == "float32"


def test_without_passes_nothing_is_said(run: Callable[..., tuple[Run, str]]) -> None:
    _, text = run(backend="reference")
    assert "pass" not in text
    assert text.splitlines()[0].endswith("reference, float32")


def test_a_run_done_again_has_the_passes_that_it_had(pack: Path, run: Callable[..., tuple[Run, str]]) -> None:
    made, _ = run()
    pack.write_text(PACK.replace('("shout", "call")', '("whisper",)'), encoding="utf-8")
    found = mg.reproduce(made.folder, output="again", plugins=[pack])
    assert found
    assert "passes" not in found.environment
    assert "passes: [shout, call]" in Path("again/resolved.yaml").read_text(encoding="utf-8").replace('"', "")


def test_going_on_with_other_passes_is_told_and_no_bits_are_promised(
    pack: Path, run: Callable[..., tuple[Run, str]], headlines: Any
) -> None:
    made, _ = run(**{"train.checkpoint_interval": 1})
    pack.write_text(PACK.replace('("shout", "call")', '("whisper",)'), encoding="utf-8")
    mg.resume(made.folder, {"train.max_steps": 3}, plugins=[pack], reporter=headlines)
    assert "since step 2: passes was ['shout', 'call'], is ['whisper']" in headlines.text
    with pytest.raises(mg.MicrogptError, match="went on after step 2 with other .*passes"):
        mg.reproduce(made.folder, plugins=[pack])


def test_a_plan_says_which(pack: Path) -> None:
    def said(*words: str) -> str:
        command = ["plan", "names", "--plugin", str(pack), *words]
        result = CliRunner().invoke(main, command, prog_name="microgpt")
        assert result.exit_code == 0, result.output
        return result.output

    text = said("--explain")
    assert "\npasses: shout, call\n" in text
    assert "shouted.backward" in text
    assert json.loads(said("--json"))["passes"] == ["shout", "call"]
    assert "passes" not in said("--set", "passes=[]")


@pytest.mark.parametrize("kind", ["pass", "passes"])
def test_show_says_what_it_is_and_how_to_have_it(pack: Path, kind: str) -> None:
    result = CliRunner().invoke(main, ["show", kind, "shout", "--plugin", str(pack)], prog_name="microgpt")
    assert result.output == f"# shout: relu2, only louder.\n# a pass of {pack}\npasses: [shout]\n"
