"""The native kernel: the reference's numbers and slopes, at any size, on any number of threads, in a whole model."""

import json
import subprocess
import sys
from array import array
from collections.abc import Callable, Sequence
from math import exp, inf, isnan, nan
from pathlib import Path
from random import Random

import pytest

import microgpt_core as mg
from microgpt_core.components import flat, new_buffer
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.capture import capture
from microgpt_mish.mish import Mish

pytest.importorskip("microgpt_simd", reason="the native kernel is for microgpt-simd")
pytest.importorskip("microgpt_mish.native", reason="not compiled: pip install --no-build-isolation the pack")
from microgpt_mish.simd_kernel import MishKernel  # noqa: E402
from microgpt_simd.backend import Simd  # noqa: E402
from microgpt_simd.ops import ReLU  # noqa: E402

SIZES = [*range(1, 20), 63, 64, 65, 8191, 8192, 8193, 30_001]
LARGE = [0.0, -0.0, 1e-30, -1e-30, 20.0, -20.0, 88.0, -88.0, 104.0, -104.0, 745.0, -746.0, 1e30, -1e30, inf, -inf, nan]


def run(method: str, x: Sequence[float], before: float = 0.0, sets: frozenset[str] = frozenset()) -> list[float]:
    """`out`, or the `d_x` of a d_out of ones that held `before`."""
    given, written, ones = (new_buffer((len(x),)) for _ in range(3))
    flat(given)[:] = array("f", x)
    flat(written)[:] = array("f", [before] * len(x))
    flat(ones)[:] = array("f", [1.0] * len(x))
    views = {"out": written, "x": given} if method == "forward" else {"d_x": written, "d_out": ones, "x": given}
    MishKernel().prepare(method, views, {"sets": sets} if sets else {}, None)()
    return list(written.tolist())


def numbers(n: int) -> list[float]:
    """Of float32, so that the reference is asked for the same ones."""
    rng = Random(n)
    return list(array("f", [rng.gauss(0.0, 5.0) for _ in range(n)]))


@pytest.mark.parametrize("n", SIZES)
def test_the_numbers_are_the_reference_s(n: int) -> None:
    x = numbers(n)
    assert run("forward", x) == pytest.approx([Mish().f(v) for v in x], rel=1e-6, abs=1e-30)
    slopes = [Mish().df(v) for v in x]
    assert run("backward", x) == pytest.approx(slopes, rel=1e-6, abs=1e-6)
    assert run("backward", x, before=2.0) == pytest.approx([2.0 + slope for slope in slopes], rel=1e-6)
    assert run("backward", x, before=nan, sets=frozenset({"d_x"})) == run("backward", x)


@pytest.mark.parametrize("x", LARGE)
def test_large_numbers_and_special_ones(x: float) -> None:
    for method, expected in (("forward", Mish().f(x)), ("backward", Mish().df(x))):
        (found,) = run(method, [x])
        assert isnan(found) if isnan(expected) else found == pytest.approx(expected, rel=1e-6, abs=1.2e-38)


def wrong(slopes: Callable[[Sequence[float]], Sequence[float]]) -> list[float]:
    """The numbers at which slopes aren't those of the curve, by differences of it in float64."""
    x, h = [i / 8 for i in range(-120, 121)], 1e-4
    measured = [(Mish().f(v + h) - Mish().f(v - h)) / (2 * h) for v in x]
    return [v for v, m, s in zip(x, measured, slopes(x)) if abs(m - s) > 1e-6]


def test_slopes_are_those_of_the_curve() -> None:
    assert wrong(lambda x: run("backward", x)) == []


def test_planted_a_wrong_slope_is_found() -> None:
    assert wrong(lambda x: [Mish().df(v) * (1.0 + 1e-5 * exp(-v * v)) for v in x])


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_any_number_of_threads_gives_the_same_bits(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, found = numbers(30_001), []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("MICROGPT_THREADS", threads)
        found.append(array("f", run(method, x)).tobytes())
    assert found[0] == found[1] == found[2]


def test_calls_in_a_row_become_one() -> None:
    """With the backend's own kernels before and after it; another backend's in between would be a call of its own."""
    x = mg.tensor([[-1.0, 0.5, 2.0]])
    table = {"simd/relu": ReLU(), "simd/mish": MishKernel()}
    for left_out, calls in ((), 1), (("simd/mish",), 3):
        kernels = Kernels([Simd()], {name: kernel for name, kernel in table.items() if name not in left_out})
        captured = capture(lambda x: mg.ops.relu(Mish()(mg.ops.relu(x))), x, kernels=kernels)
        assert len(captured.replay_for(x).program) == calls
        assert captured(x).tolist() == [pytest.approx([0.0, Mish().f(0.5), Mish().f(2.0)], rel=1e-6)]


def trained(who: str, folder: Path) -> tuple[float, str]:
    """The loss after 20 steps with mish forced onto a backend, and what the run said."""
    settings = ["model.activation=mish", f"kernels.mish={who}", "backend=simd", "train.max_steps=20", "stages=[train]"]
    command = [sys.executable, "-m", "microgpt_core", "run", "names", "--json"]
    command += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=True)
    return json.loads(done.stdout)["result"]["train_loss"], done.stderr


def test_a_model_trains_alike(tmp_path: Path) -> None:
    """Forced onto simd, all of a step is native; on the reference, the loss is the same but for rounding."""
    (native, said), (reference, said_then) = (trained(who, tmp_path) for who in ("simd", "reference"))
    assert native == pytest.approx(reference, rel=1e-5)
    assert "; simd, float32" in said
    assert "; simd + reference, float32" in said_then
