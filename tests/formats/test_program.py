"""A model exported as a program: the same bits as the model, readable, complete, and refused where it can't be."""

import ast
import importlib.util
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from microgpt_core.components import Tokenizer, Unary, fits_slot
from microgpt_core.errors import ConfigurationError, NonFiniteError
from microgpt_core.formats.program import op_code
from microgpt_core.formats.program.python_file import PythonFile, check, source
from microgpt_core.inference.language_model import LanguageModel
from microgpt_core.inference.session import Session
from microgpt_core.models.gpt import GPT
from microgpt_core.ops import OPS
from microgpt_core.plugins.one_file import read_file

spec = importlib.util.spec_from_file_location("members", Path(__file__).with_name("members.py"))
assert spec is not None
assert spec.loader is not None
members = importlib.util.module_from_spec(spec)
spec.loader.exec_module(members)
MEMBERS, LONG, made, characters, written = (
    getattr(members, name) for name in ("MEMBERS", "LONG", "made", "characters", "written")
)

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("ab", {"temperature": 0.0}),
    ("abcdefghabc", {"top_k": 3}),
    ("h", {"top_p": 0.8, "max_new_tokens": 30}),
    ("hh", {"top_p": 0.8, "top_k": 4, "max_new_tokens": 0}),
]


def run(program: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "exported"}
    exec(compile(program, "exported", "exec"), space)
    return space


def texts(space: dict[str, Any], prompt: str, temperature: float = 0.8, **settings: Any) -> list[str]:
    limits = (settings.get(name) for name in ("top_k", "top_p", "max_new_tokens"))
    top_k, top_p, limit = limits
    return [space["generate"](prompt, random.Random(i), temperature, top_k, top_p, limit) for i in range(3)]


def assert_same(model: GPT, tokenizer: Tokenizer) -> dict[str, Any]:
    """The program, which writes what the model writes and has its logits in every place of the block."""
    space, session = run(source(model, tokenizer, "model")), Session(model)
    cache = [([], []) for _ in range(space["N_CACHES"])]
    for position in range(model.block_size):
        token = 3 * position % model.vocab_size
        (expected,) = session.read([[token]])
        assert space["model"](token, position, cache) == expected, position
    asked = LanguageModel(model, tokenizer)
    for prompt, settings in SETTINGS:
        assert texts(space, prompt, **settings) == [
            asked.generate(prompt, rng=random.Random(i), **settings) for i in range(3)
        ]
    return space


@pytest.mark.parametrize("fields", MEMBERS, ids=str)
def test_a_program_is_the_model_to_the_bit(fields: dict[str, Any]) -> None:
    assert_same(made(**fields), characters())


@pytest.mark.parametrize("fields", LONG, ids=str)
def test_attention_that_needs_tiles(fields: dict[str, Any]) -> None:
    space = assert_same(made(**fields), characters())
    assert "attention_in_tiles" in space


@pytest.mark.parametrize("options", [{"add_bos": False}, {"normalize": "NFC"}])
def test_characters_with_options(options: dict[str, Any]) -> None:
    tokenizer = characters(**options)
    space = assert_same(made(tokenizer), tokenizer)
    assert space["BOS"] == tokenizer.bos


@pytest.mark.parametrize(("name", "title"), [('"""\nexit()', "____exit__"), ("a\\N b", "a_N b"), ("名 前", "名 前")])
def test_a_name_is_only_a_name(name: str, title: str) -> None:
    model = made()
    program = source(model, characters(), name)
    check(program, model)  # raises unless it computes the model's logits
    docstring = ast.get_docstring(ast.parse(program))
    assert docstring is not None
    assert docstring.startswith(f"{title}: a language model")


def test_float64() -> None:
    assert_same(made(precision="float64"), characters())


def test_every_field_and_every_activation_of_the_family_is_among_the_members() -> None:
    given = {name for fields in (*MEMBERS, *LONG) for name in fields}
    assert given | {"vocab_size", "attention", "init_std", "init_output_std"} == set(made().config())
    used = {fields.get("activation", "relu2") for fields in MEMBERS} | {"softmax"}  # a token's numbers: no activation
    assert {name for name, op in OPS.items() if fits_slot(op, "activation")} <= used


FORMULAS = {  # name -> a mistake that somebody could make in it
    "linear": ("[dot(x, row) for row in weight]", "[dot(row, row) for row in weight]"),
    "rmsnorm": ("/ len(x) + eps", "/ len(x)"),
    "attention": ("width**-0.5", "1.0"),
    "rounded": ("array(FORMAT, values).tolist()", "list(values)"),
    "relu2": ("x * x", "x"),
    "model": ("x = add(x, o)", "x = o"),
    "numbers": ("shape[1]]", "shape[1]][::-1]"),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_planted_mistake_is_found_before_anything_is_written(name: str) -> None:
    right, wrong = FORMULAS[name]
    model, tokenizer = made(), characters()
    program = source(model, tokenizer, "model")
    check(program, model)
    assert right in program
    with pytest.raises(ConfigurationError, match="doesn't compute the model's logits"):
        check(program.replace(right, wrong), model)


def test_a_formula_stands_for_the_core_s_own_op_alone() -> None:
    class Louder(type(OPS["rmsnorm"])):
        name = "rmsnorm"

    space = assert_same(made(norm=Louder()), characters())
    assert "rmsnorm_forward" in space  # another class comes as it is written
    assert set(op_code.IN_ROWS) <= OPS.keys()


@pytest.mark.parametrize("fields", MEMBERS[:7], ids=str)
def test_a_program_is_readable(fields: dict[str, Any]) -> None:
    """Lines that fit, no unused function, no annotation, and nothing imported that isn't Python's or isn't used."""
    program = source(made(**fields), characters(), "model")
    tree = ast.parse(program)
    assert max(map(len, program.splitlines())) <= 120
    defined = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert [name for name in defined if len(re.findall(rf"\b{name}\b", program)) < 2] == []
    assert len(set(defined)) == len(defined)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.AnnAssign)
        assert not isinstance(node, ast.arg) or node.annotation is None
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            assert str(module).split(".")[0] in sys.stdlib_module_names
            name = node.names[0].asname or node.names[0].name
            assert len(re.findall(rf"\b{name}\b", program)) > 1, name
    assert "for i in range(2):" in program
    assert "microgpt_core" not in program


PACK = '''
import math
import microgpt_core as mg
from math import exp, tanh
from microgpt_core.components import Op, Unary, rows, write

GAIN: float = 2.0

def softplus(x: float) -> float:  # noqa
    from math import log1p
    return log1p(exp(x)) * GAIN

class Mish(Unary):
    """x tanh(softplus(x))"""
    def f(self, x: float) -> float: return x * tanh(softplus(x)) if x < 20 else x
    def df(self, x: float) -> float: return 1.0

class Leaky(Unary):
    """Its own slope, a method of its own, and an attribute."""
    low = 0.25
    def bend(self, x: float, by: float = 1.0) -> float: return mg.exp(x * self.low) * by
    def f(self, x: float, *, slope: float = 0.1) -> float: return x if x > 0 else slope * self.bend(x)
    def df(self, x: float, *, slope: float = 0.1) -> float: return 1.0

class L1Norm(Op):
    """x / mean |x|, times a gain."""
    name = "l1norm"
    def shapes(self, x, weight, *, eps=1e-4): return {"out": x, "size": x[:-1]}
    def forward(self, out, size, x, weight, *, eps):
        values, sizes = [], []
        for row in rows(x).tolist():
            sizes.append(sum(map(abs, row)) / len(row) + eps)
            values += [v / sizes[-1] * w for v, w in zip(row, weight)]
        write(out, values)
        write(size, sizes)
    def backward(self, d_x, d_weight, d_out, size, x, weight, *, eps): pass

class Mean(Op):
    """Every token takes the mean of all values so far, be they in a cache."""
    name = "mean-so-far"
    integers = ("start",)
    def shapes(self, q, k, v, start=None): return {"out": q}
    def forward(self, out, q, k, v, start):
        seen = start[0] if start is not None else 0
        v_rows, n = rows(v).tolist(), len(rows(q))
        write(out, [sum(column) / (seen + t + 1) for t in range(n) for column in zip(*v_rows[: seen + t + 1])])
    def backward(self, d_q, d_k, d_v, d_out): pass

class Forgetful(Mean):
    """The same without a cache."""
    name = "forgetful"
    integers = ()
    def shapes(self, q, k, v): return {"out": q}
    def forward(self, out, q, k, v):
        v_rows, n = rows(v).tolist(), len(rows(q))
        write(out, [sum(column) / (t + 1) for t in range(n) for column in zip(*v_rows[: t + 1])])

class Foreign(Unary):
    """It needs what isn't Python's."""
    def f(self, x: float) -> float: return click.style(x)
    def df(self, x: float) -> float: return 1.0

class Changing(Unary):
    """Its slope is no constant."""
    slopes = {}
    def f(self, x: float) -> float: return self.slopes.get(x, x)
    def df(self, x: float) -> float: return 1.0

class Inheriting(Mish):
    """More than a function can say."""
    def f(self, x: float) -> float: return super().f(x)

import click
'''


@pytest.fixture
def pack(tmp_path: Path) -> dict[str, Any]:
    ops = read_file(written(tmp_path / "pack_of_ops.py", PACK)).components["ops"]
    return {name: op() for name, op in ops.items()}


@pytest.mark.parametrize(
    "fields",
    [
        {"activation": "mish"},
        {"activation": "leaky"},
        {"norm": "l1norm", "norm_weight": True},
        {"attention": "mean-so-far"},
        {"activation": "mish", "norm": "l1norm", "norm_weight": True, "norm_eps": 0.5, "position": "sinusoidal"},
    ],
    ids=str,
)
def test_ops_of_a_pack_come_with_all_that_they_need(pack: dict[str, Any], fields: dict[str, Any]) -> None:
    space = assert_same(made(**{name: pack.get(str(value), value) for name, value in fields.items()}), characters())
    assert "microgpt_core" not in space


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"activation": "foreign"}, "op 'foreign' can't be exported to a program: .*click, which isn't in Python's"),
        ({"activation": "changing"}, "Changing uses self.slopes, which is no plain value"),
        ({"activation": "inheriting"}, "the program doesn't run, so it isn't written: RuntimeError"),
        ({"attention": "forgetful"}, "after 2 .* so it isn't written: .* has to take `start`"),
    ],
)
def test_what_cannot_be_exported_is_said(
    pack: dict[str, Any], fields: dict[str, str], message: str, tmp_path: Path
) -> None:
    model = made(**{name: pack[value] for name, value in fields.items()})
    with pytest.raises(ConfigurationError, match=message):
        PythonFile().write(model, characters(), tmp_path / "model.py")
    assert not (tmp_path / "model.py").exists()


def test_an_op_without_source_is_refused() -> None:
    space: dict[str, Any] = {"Unary": Unary, "__name__": "nowhere"}
    exec("class Typed(Unary):\n    def f(self, x): return x\n    def df(self, x): return 1.0", space)
    with pytest.raises(ConfigurationError, match="op 'typed' can't be exported to a program: .*put it into a file"):
        source(made(activation=space["Typed"]()), characters(), "model")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = made()
    model.state()["wpe.weight"].cast("B").cast("f")[3] = float("nan")
    with pytest.raises(NonFiniteError, match="wpe.weight holds infinity or NaN"):
        PythonFile().write(model, characters(), tmp_path / "model.py")


TOKENIZER = '''
from dataclasses import dataclass
from typing import ClassVar, Self
from microgpt_core.components import Tokenizer
from microgpt_core.errors import DataError

@dataclass
class Bytes(Tokenizer):
    """The bytes of UTF-8, and one more that ends a text."""
    name: ClassVar[str] = "bytes"
    vocab_size: int = 257
    bos: int | None = 256

    def encode(self, text: str) -> list[int]:
        if "\\0" in text:
            raise DataError("no zeros")
        return list(text.encode())
    def decode_bytes(self, token: int) -> bytes: return bytes([token] * (token != self.bos))
    def decode(self, ids) -> str: return b"".join(map(self.decode_bytes, ids)).decode("utf-8", "replace")
    def to_dict(self): return {"use": self.name}
    @classmethod
    def from_dict(cls, state) -> Self: return cls()
'''


def test_a_tokenizer_of_a_pack_comes_as_its_class(tmp_path: Path) -> None:
    cls = read_file(written(tmp_path / "bytes_pack.py", TOKENIZER)).components["tokenizers"]["bytes"]
    space = assert_same(made(cls()), cls())
    assert space["decode"](space["encode"]("né")) == "né"
    needy = TOKENIZER.replace("@dataclass", "import click\n\n@dataclass").replace("DataError(", "click.UsageError(")
    other = read_file(written(tmp_path / "needy.py", needy)).components["tokenizers"]["bytes"]
    with pytest.raises(ConfigurationError, match="tokenizer 'bytes' can't be exported to a program: .* click, which"):
        source(made(other()), other(), "model")


REFUSING = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names:
            raise ImportError("not Python's own: " + name)
sys.meta_path.insert(0, Refuse())
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_program_runs_on_a_bare_interpreter_from_an_empty_folder(tmp_path: Path) -> None:
    model, tokenizer, place = made(activation="swiglu", position="rope", n_embd=16), characters(), tmp_path / "empty"
    place.mkdir()
    PythonFile().write(model, tokenizer, tmp_path / "model.py")
    hook = written(tmp_path / "refusing.py", REFUSING)
    expected = LanguageModel(model, tokenizer).generate_many(["ab"] * 3 + ["c"] * 3, seed=7, temperature=0.9)
    for before in ([], [str(hook)]):
        done = subprocess.run(
            [sys.executable, "-I", "-S", *before, str(tmp_path / "model.py"), "ab", "c", "--seed", "7", "-n", "3",
             "--temperature", "0.9"],
            cwd=place, capture_output=True, encoding="utf-8",
        )  # fmt: skip
        assert (done.stdout.splitlines(), done.stderr, done.returncode) == (expected, "", 0)
    hook.write_text(REFUSING + "\nimport click", encoding="utf-8", newline="\n")
    importing = written(tmp_path / "importing.py", "import click")
    refused = subprocess.run([sys.executable, str(hook), str(importing)], capture_output=True, encoding="utf-8")
    assert "not Python's own: click" in refused.stderr  # so the hook is awake


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["é"], "unknown character"),
        (["--temperature", "-1"], "--temperature: found '-1', allowed: 0 or more"),
        (["--temperature", "nan"], "--temperature: found 'nan'"),
        (["--temperature", "inf"], "--temperature: found 'inf'"),
        (["--top-p", "2"], "--top-p: found '2', allowed: more than 0, up to 1"),
        (["--top-k", "0"], "--top-k: found '0', allowed: a whole number, 1 or more"),
        (["-n", "-3"], "--num-samples: found '-3', allowed: a whole number, 1 or more"),
        (["-n", "0"], "--num-samples: found '0'"),
        (["-n", "two"], "--num-samples: found 'two'"),
        (["--max-new-tokens", "0"], "--max-new-tokens: found '0'"),
        (["--seed", "-1"], "--seed: found '-1', allowed: a whole number, 0 or more"),
        (["--sede", "1"], "--sede"),
        (["--temp", "1"], "unrecognized arguments: --temp"),
    ],
)
def test_a_program_refuses_what_generate_refuses(
    args: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    space = run(source(made(), characters(), "model"))
    monkeypatch.setattr(sys, "argv", ["model.py", *args])
    with pytest.raises(SystemExit) as stopped:
        space["main"]()
    said = capsys.readouterr()
    assert (stopped.value.code, said.out) == (2, "")
    assert message in said.err


@pytest.mark.parametrize(
    ("args", "expected"), [(["ab", "c"], ["ab", "c"]), (["-p", "ab", "--prompt", "c"], ["ab", "c"]), ([], [""])]
)
def test_a_program_takes_prompts_as_generate_does_or_by_place(
    args: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = made(), characters()
    space = run(source(model, tokenizer, "model"))
    monkeypatch.setattr(sys, "argv", ["model.py", *args, "-n", "1", "--seed", "5"])
    space["main"]()
    assert capsys.readouterr().out.splitlines() == LanguageModel(model, tokenizer).generate_many(expected, seed=5)


def test_a_program_says_how_it_is_called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = source(made(), characters(), "my model")
    assert '    python "my model.py" -p TEXT -n 3 ' in text
    monkeypatch.setattr(sys, "argv", ["my model.py", "--help"])
    with pytest.raises(SystemExit):
        run(text)["main"]()
    assert "-p TEXT -n 3 --seed 7" in capsys.readouterr().out
