"""Numbers: chance bit by bit, the normal distribution to its last digit, no warnings, and what holds of BLAS's bits."""

import math
import warnings
from random import Random
from typing import Any

import numpy as np
import pytest

from microgpt_core import ops
from microgpt_core.components import flat, new_buffer
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.context import use_kernels
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.inference.session import Session
from microgpt_core.models.gpt import GPT
from microgpt_numpy.gelu import GELU

WORD = 1 << 32


@pytest.mark.parametrize("noise", [[0, 0, 0], [1337, 5, 7], [-1, -(2**31), 2**31 - 1], [2**31 - 1, 3, -2]])
@pytest.mark.parametrize("shape", [(1,), (5, 7), (3, 4, 9), (7, 1)])
def test_dropout_keeps_the_very_numbers_that_the_reference_keeps(
    noise: list[int], shape: tuple[int, ...], kernels: Kernels
) -> None:
    for p, stream in ((0.0, 0), (0.1, 3), (0.5, 1), (0.999, 2)):
        ones = new_buffer(shape)
        np.asarray(ones).fill(1.0)
        kept = []
        for who in (kernels, REFERENCE):
            with use_kernels(who):
                kept.append(ops.dropout(tensor(ones), tensor(noise, "int32"), p=p, stream=stream).data.tobytes())
        assert kept[0] == kept[1]


@pytest.mark.parametrize(("dtype", "allowed"), [(np.float64, 2e-15), (np.float32, 1e-6)])
def test_gelu_is_exact(dtype: type[np.floating[Any]], allowed: float) -> None:
    """x P(x) and its derivative beside math.erfc's."""
    x = np.concatenate([np.linspace(-9, 9, 20001), [0.0, -0.0, 1e-30, -1e-30, 38.0, -38.0, 300.0]]).astype(dtype)
    y, slope, spare = np.empty_like(x), np.empty_like(x), (np.empty_like(x), np.empty_like(x))
    with np.errstate(all="ignore"):
        GELU().f(y, x, spare)
        GELU().df(slope, x, spare)
    for given, found, found_slope in zip(x.tolist(), y.tolist(), slope.tolist()):
        below = 0.5 * math.erfc(-given * math.sqrt(0.5))
        density = math.exp(-0.5 * given * given) / math.sqrt(2 * math.pi)
        assert abs(found - given * below) <= allowed * max(abs(given * below), 0.1)
        assert abs(found_slope - (below + given * density)) <= allowed


def test_a_large_table_with_many_ids(kernels: Kernels) -> None:
    """An id times the number of ids is more than an int32 holds."""
    n_rows, rng = 70_000, Random(4)
    ids = [rng.randrange(n_rows) for _ in range(40_000)]
    weight = tensor(new_buffer((n_rows, 1)), requires_grad=True)
    with use_kernels(kernels):
        ops.sum(ops.embedding(tensor(ids, "int32"), weight)).backward()
    assert weight.grad is not None
    assert np.asarray(weight.grad.data)[:, 0].tolist() == np.bincount(ids, minlength=n_rows).tolist()


def test_infinity_and_nan_come_without_a_warning_and_errstate_is_left_alone(kernels: Kernels) -> None:
    before = np.geterr()
    x = tensor([[3e38, -3e38, math.inf], [math.nan, 1e38, 2.0]], requires_grad=True)
    with use_kernels(kernels), warnings.catch_warnings():
        warnings.simplefilter("error")
        y = ops.gelu(ops.rmsnorm(ops.softmax(x * 10)) * x)
        ops.sum(y @ tensor([[1.0], [2.0], [3.0]])).backward()
    assert np.geterr() == before
    with pytest.warns(RuntimeWarning, match="overflow"):  # the control: NumPy does warn
        np.exp(np.float32(1000))


def make_model() -> GPT:
    model = GPT(27, 16, n_layer=2, n_head=4, n_embd=64, init_output_std=0.02)
    model.allocate()
    model.initialise(Random(1))
    return model


def test_a_token_from_the_cache_equals_a_batched_one_but_for_rounding(kernels: Kernels) -> None:
    """BLAS multiplies one row by another routine than many: the bits differ, by less than a millionth."""
    model, ids = make_model(), [Random(2).randrange(27) for _ in range(16)]
    whole = Session(model, kernels).read([ids])[0]
    session = Session(model, kernels)
    for i in ids:
        one_by_one = session.read([[i]])[0]
    assert one_by_one == pytest.approx(whole, abs=1e-6 * max(map(abs, whole)))
    assert Session(model, kernels).read([ids])[0] == whole  # the same calls give the same bits


def test_a_rows_logits_do_not_depend_on_the_row_beside_it(kernels: Kernels) -> None:
    model, rng = make_model(), Random(3)
    a, b, c = ([rng.randrange(27) for _ in range(16)] for _ in range(3))
    assert Session(model, kernels, rows=2).read([a, b])[0] == Session(model, kernels, rows=2).read([a, c])[0]


def test_matrices_see_their_own_rows_only(kernels: Kernels) -> None:
    """A NaN in one row is in no other, whichever of BLAS's routines runs."""
    for n_rows in (1, 2, 3, 33):
        x: Tensor = tensor([[1.0] * 17 for _ in range(n_rows)])
        flat(x.data)[0] = math.nan
        with use_kernels(kernels):
            out = ops.linear(x, tensor([[0.0] * 17, [1.0] * 17])).tolist()
        assert all(v != v for v in out[0])
        assert all(v == v for row in out[1:] for v in row)
