"""A call that does what several did has their bits: at each level, in each precision, over the edges of packing."""

from array import array
from collections.abc import Collection
from random import Random
from typing import Any

import pytest

from microgpt_core.components import Buffer, Kernel, flat, new_buffer
from microgpt_core.engine.backends import Kernels
from microgpt_core.errors import ConfigurationError
from microgpt_simd.activated_linear import ACTIVATIONS

# Rows, inputs, outputs: few rows; a single panel; over the edges of tiles, over a stretch of k, and over what is packed
# at a time of A and of B; of a weight near enough to be read where it lies, and further away.
SIZES = [
    (1, 1, 1), (3, 40, 20), (5, 33, 17), (13, 64, 15), (29, 70, 64), (100, 20, 65), (33, 513, 17), (97, 260, 70),
    (7, 40, 530), (40, 1100, 33), (130, 400, 800), (530, 190, 40),
]  # fmt: skip
PRECISIONS = ["", "_bfloat16"]
Buffers = dict[str, Buffer | None]


def drawn(*shape: int, seed: str = "") -> Buffer:
    made, rng = new_buffer(shape), Random(f"{shape}{seed}")
    flat(made)[:] = array("f", (rng.gauss(0, 1) for _ in flat(made)))
    return made


def copied(buffer: Buffer) -> Buffer:
    return Buffer(bytearray(buffer.tobytes())).cast(buffer.format, buffer.shape)


def run(kernels: Kernels, call: str, given: Buffers, sets: Collection[str] = (), **attributes: Any) -> None:
    """A kernel's method on buffers of the test's own."""
    name, method = call.split(".")
    kernel: Kernel = kernels.table[f"simd/{name}"]
    shapes = {n: None if b is None else b.shape for n, b in given.items()}
    nbytes = kernel.workspace(method, shapes, dict.fromkeys(given, "f"), attributes)
    keywords = attributes | ({"sets": frozenset(sets)} if method == "backward" else {})
    kernel.prepare(method, given, keywords, new_buffer((nbytes,), "B") if nbytes else None)()


def gradients(like: Buffers, fill: float) -> Buffers:
    made: Buffers = {f"d_{name}": new_buffer(b.shape) for name, b in like.items() if b is not None}
    for gradient in made.values():
        flat(gradient)[:] = array("f", [fill]) * len(flat(gradient))  # type: ignore[index, arg-type]
    return made


def bits(buffers: Buffers) -> dict[str, bytes]:
    return {name: buffer.tobytes() for name, buffer in buffers.items() if buffer is not None}


def activated(kernels: Kernels, linear: str, activation: str, size: tuple[int, int, int], sets: bool) -> list[Any]:
    """What the fused call makes, and what the activation's and the layer's do."""
    m, k, n = size
    x, weight, bias, d_out = drawn(m, k), drawn(n, k), drawn(n), drawn(m, n)
    inputs: Buffers = {"x": x, "weight": weight, "bias": bias}
    backward: Buffers = {"d_out": d_out, "x": x, "weight": weight}
    out, d = new_buffer((m, n)), gradients(inputs, 0.5)
    run(kernels, f"activated_{linear}.forward", {"out": out, **inputs}, activation=activation)
    run(kernels, f"activated_{linear}.backward", {**d, **backward}, d if sets else (), activation=activation)

    bent, d_bent, other, e = new_buffer((m, k)), new_buffer((m, k)), new_buffer((m, n)), gradients(inputs, 0.5)
    run(kernels, f"{activation}.forward", {"out": bent, "x": x})
    run(kernels, f"{linear}.forward", {"out": other, **inputs, "x": bent})
    parts = {**e, "d_x": d_bent}
    run(kernels, f"{linear}.backward", {**parts, **backward, "x": bent}, parts if sets else ["d_x"])
    run(kernels, f"{activation}.backward", {"d_x": e["d_x"], "d_out": d_bent, "x": x}, ["d_x"] if sets else ())
    return [bits({"out": out, **d}), bits({"out": other, **e})]


@pytest.mark.parametrize("sets", [True, False], ids=["set", "added"])
@pytest.mark.parametrize("linear", ["linear", "linear_bfloat16"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_activation_and_its_reader(
    size: tuple[int, int, int], linear: str, sets: bool, level: str, kernels: Kernels
) -> None:
    found, parts = activated(kernels, linear, "relu2", size, sets)
    assert found == parts


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation: str, level: str, kernels: Kernels) -> None:
    found, parts = activated(kernels, "linear", activation, (29, 70, 64), True)
    assert found == parts
    assert found != activated(kernels, "linear", "relu" if activation != "relu" else "tanh", (29, 70, 64), True)[0]


def test_another_activation_is_refused(kernels: Kernels) -> None:
    x, weight, out = drawn(2, 3), drawn(4, 3), new_buffer((2, 4))
    given: Buffers = {"out": out, "x": x, "weight": weight, "bias": None}
    with pytest.raises(ConfigurationError, match="activation is 'mish'; allowed: gelu, gelu_tanh, relu"):
        run(kernels, "activated_linear.forward", given, activation="mish")


def three(kernels: Kernels, linear: str, rows: int, n_in: int, widths: tuple[int, ...], order: str) -> list[Any]:
    """What the fused call makes, and what three layers' do, whose gradients of x are added up in an order."""
    x = drawn(rows, n_in)
    weights = {letter: drawn(width, n_in) for letter, width in zip("qkv", widths)}
    biases = {letter: drawn(width) for letter, width in zip("qkv", widths)}
    d_outs = {letter: drawn(rows, width) for letter, width in zip("qkv", widths)}
    outs: Buffers = {letter: new_buffer((rows, width)) for letter, width in zip("qkv", widths)}
    of_weights: Buffers = {f"w_{letter}": w for letter, w in weights.items()}
    of_biases: Buffers = {f"b_{letter}": b for letter, b in biases.items()}
    d = gradients({"x": x, **of_weights, **of_biases}, 0.5)
    _, _, bits_of = linear.partition("linear")
    run(kernels, f"linear_qkv{bits_of}.forward", {**outs, "x": x, **of_weights, **of_biases})
    backward: Buffers = {**d, **{f"d_{n}": b for n, b in d_outs.items()}, "x": x, **of_weights}
    run(kernels, f"linear_qkv{bits_of}.backward", backward, ["d_w_q"])

    others: Buffers = {letter: new_buffer((rows, width)) for letter, width in zip("qkv", widths)}
    e = gradients({"x": x, **of_weights, **of_biases}, 0.5)
    for letter in order:
        w, b = weights[letter], biases[letter]
        run(kernels, f"{linear}.forward", {"out": others[letter], "x": x, "weight": w, "bias": b})
        mine = {"d_x": e["d_x"], "d_weight": e[f"d_w_{letter}"], "d_bias": e[f"d_b_{letter}"]}
        sets = ["d_weight"] if letter == "q" else []
        run(kernels, f"{linear}.backward", {**mine, "d_out": d_outs[letter], "x": x, "weight": w}, sets)
    return [bits({**outs, **d}), bits({**others, **e})]


WIDTHS = [
    (1, 1, (1, 1, 1)),
    (4, 33, (16, 16, 16)),
    (29, 70, (64, 16, 16)),
    (131, 300, (75, 30, 75)),
    (9, 1100, (400,) * 3),
]
WIDTHS += [(1031, 190, (40, 40, 20))]


@pytest.mark.parametrize("linear", ["linear", "linear_bfloat16"])
@pytest.mark.parametrize(("rows", "n_in", "widths"), WIDTHS, ids=str)
def test_three_layers_of_one_input(
    rows: int, n_in: int, widths: tuple[int, ...], linear: str, level: str, kernels: Kernels
) -> None:
    found, parts = three(kernels, linear, rows, n_in, widths, "vkq")
    assert found == parts


def test_planted_another_order_of_the_sums_is_found(kernels: Kernels) -> None:
    """The gradient of x is a sum of three products: a tape has v's first."""
    found, parts = three(kernels, "linear", 29, 70, (64, 16, 16), "qkv")
    assert {name for name in found if found[name] != parts[name]} == {"d_x"}


@pytest.mark.parametrize("wanted", ["w_q", "b_v", "x"])
def test_only_the_gradients_that_are_wanted(wanted: str, kernels: Kernels) -> None:
    for op in ("linear_qkv", "linear_qkv_bfloat16"):
        given: Buffers = {"x": drawn(20, 30), "w_q": drawn(5, 30), "w_k": drawn(6, 30), "w_v": drawn(7, 30)}
        biases: Buffers = {"b_q": drawn(5), "b_k": drawn(6), "b_v": drawn(7)}
        d, d_outs = gradients({**given, **biases}, 0.0), {"d_q": drawn(20, 5), "d_k": drawn(20, 6), "d_v": drawn(20, 7)}
        run(kernels, f"{op}.backward", {**d, **d_outs, **given})
        alone = {name: None if name != f"d_{wanted}" else new_buffer(b.shape) for name, b in d.items() if b is not None}
        run(kernels, f"{op}.backward", {**alone, **d_outs, **given})
        assert bits(alone) == {f"d_{wanted}": bits(d)[f"d_{wanted}"]}


@pytest.mark.parametrize(("rows", "width"), [(1, 1), (7, 5), (3, 16), (130, 33), (2, 700)])
def test_a_sum_and_its_norm(rows: int, width: int, level: str, kernels: Kernels) -> None:
    a, b = drawn(rows, width), drawn(rows, width, seed="b")
    weight, bias = drawn(width), drawn(width)
    for norm, kept, extra in (("rmsnorm", ["rstd"], {}), ("layernorm", ["mean", "rstd"], {"bias": bias})):
        made = [{n: new_buffer((rows, width)) for n in ("sum", "out")} | {n: new_buffer((rows,)) for n in kept}]
        made += [{n: copied(buffer) for n, buffer in made[0].items()}]
        run(kernels, f"add_{norm}.forward", {**made[0], "a": a, "b": b, "weight": weight, **extra}, eps=1e-5)
        run(kernels, "add.forward", {"out": made[1]["sum"], "a": a, "b": b})
        rest = {n: buffer for n, buffer in made[1].items() if n != "sum"}
        run(kernels, f"{norm}.forward", {**rest, "x": made[1]["sum"], "weight": weight, **extra}, eps=1e-5)
        assert bits({**made[0]}) == bits({**made[1]})
        assert any(flat(made[0]["out"]))
