"""An op's contract is checked when its class is defined: every contradiction has an error that names it."""

from typing import Any

import pytest

from microgpt_core.components import Op, Unary, check_slot, fits_slot
from microgpt_core.errors import ConfigurationError, SignatureError
from microgpt_core.ops import OPS

SHAPES = "def shapes(self, x, weight=None, *, eps=1e-5): return {'out': x, 'rstd': x[:-1]}"
FORWARD = "def forward(self, out, rstd, x, weight, *, eps): pass"
BACKWARD = "def backward(self, d_x, d_weight, d_out, rstd, x, weight): pass"


def define(*lines: str, base: str = "Op") -> type[Op]:
    namespace: dict[str, Any] = {"Op": Op, "Unary": Unary}
    exec(f"class Norm({base}):\n    " + "\n    ".join(lines), namespace)
    found: type[Op] = namespace["Norm"]
    return found


def test_what_a_signature_says() -> None:
    signature = define(SHAPES, FORWARD, BACKWARD).signature
    assert (signature.inputs, signature.optional) == (("x", "weight"), {"weight"})
    assert (signature.outputs, signature.saved) == (("out",), ("rstd",))
    assert signature.gradients == {"x", "weight"}
    assert dict(signature.attributes) == {"eps": 1e-5}
    assert (signature.forward_attributes, signature.backward_attributes) == (("eps",), ())
    assert str(signature) == "(x, weight?, *, eps=1e-05)"


def test_without_backward_all_that_is_made_is_output() -> None:
    signature = define(SHAPES, FORWARD).signature
    assert (signature.outputs, signature.saved, signature.gradients) == (("out", "rstd"), (), frozenset())


WRONG = [
    ((SHAPES, FORWARD, "def backward(self, d_x, d_wieght, d_out, x): pass"), "'d_wieght' fits nothing .*'d_weight'"),
    ((SHAPES, FORWARD, "def backward(self, d_x, d_out, rtsd): pass"), "'rtsd' fits nothing .*'rstd'"),
    ((SHAPES, FORWARD, "def backward(self, d_x, x): pass"), "reads no d_<output>"),
    ((SHAPES, FORWARD, "def backward(self, d_x, d_out, *, epz): pass"), "attribute: 'epz' fits nothing .*'eps'"),
    ((SHAPES, "def forward(self, out, rstd, x, *, eps): pass"), "forward lacks the input 'weight'"),
    ((SHAPES, "def forward(self, out, rstd, x, wieght, *, eps): pass"), "lacks the input 'weight' .*'wieght'"),
    ((SHAPES, "def forward(self, x, weight, out, rstd, *, eps): pass"), "expected outputs, saved values, then"),
    ((SHAPES, "def forward(self, out, rstd, x, weight, *, esp): pass"), "attribute: 'esp' fits nothing .*'eps'"),
    ((SHAPES, "def forward(self, *buffers): pass"), "hides the names"),
    (("def shapes(self, d_x): return {}", "def forward(self, d_x): pass"), "may not start with d_"),
    (("mutates = ('wieght',)", SHAPES, FORWARD), "mutates or integers: 'wieght' fits nothing .*'weight'"),
    (("integers = ('ids',)", SHAPES, FORWARD), "mutates or integers: 'ids' fits nothing"),
]


@pytest.mark.parametrize(("lines", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_contradiction_is_an_error_of_the_class_statement(lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(SignatureError, match=said) as error:
        define(*lines)
    assert str(error.value).startswith("Norm")


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("Mish", "mish"),
        ("CrossEntropy", "cross_entropy"),
        ("RMSNorm", "rmsnorm"),
        ("ReLU2", "relu2"),
        ("SwiGLU", "swiglu"),
    ],
)
def test_names_follow_the_class(class_name: str, name: str) -> None:
    assert type(class_name, (Op,), {}).name == name  # type: ignore[attr-defined]


def test_a_unary_has_attributes_from_f() -> None:
    leaky = define("def f(self, x, *, slope=0.1): return x", "def df(self, x, *, slope=0.1): return 1.0", base="Unary")
    assert str(leaky.signature) == "(x, *, slope=0.1)"


def test_a_unary_takes_one_number() -> None:
    with pytest.raises(SignatureError, match="a Unary takes one number"):
        define("def f(self, x, y): return x", "def df(self, x): return 1.0", base="Unary")


def test_a_base_class_of_ones_own_may_stay_abstract() -> None:
    half = define("def f(self, x): return x", base="Unary")
    assert "signature" not in vars(half)


SHAPED = {"relu", "relu2", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "softmax"}  # x in, its like out
FITS = {
    "activation": SHAPED | {"swiglu"},
    "norm": {"rmsnorm", "layernorm"},
    "attention": {"attention"},
    "loss": {"cross_entropy"},
}


@pytest.mark.parametrize("slot", FITS)
def test_the_core_ops_that_fit_a_slot(slot: str) -> None:
    assert {name for name, op in OPS.items() if fits_slot(op, slot)} == FITS[slot]


def test_a_misfit_is_told_with_both_signatures() -> None:
    said = r"'linear' doesn't fit the slot 'activation': it is linear\(x, weight, bias\?\), .* activation\(x, gate\?\)"
    with pytest.raises(ConfigurationError, match=said):
        check_slot(OPS["linear"], "activation")
    check_slot(OPS["relu"], "activation")
