"""The kernels in C: the same bits for any number of threads, and what is beyond one block, column or register."""

from array import array
from random import Random
from typing import Any

import pytest

from microgpt_core.components import flat, new_buffer

pytest.importorskip("microgpt_simd", reason="the kernels in C are for microgpt-simd")
pytest.importorskip("microgpt_optimizers.native._native", reason="not compiled: it needs microgpt-simd and a compiler")
from microgpt_optimizers.native import kernels  # noqa: E402

SETTINGS: dict[str, dict[str, Any]] = {
    "RMSpropUpdate": {"beta": 0.9, "eps": 1e-8, "momentum": 0.9},
    "AdagradUpdate": {"eps": 1e-10},
    "LionUpdate": {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1},
    "ClipValue": {"limit": 0.5},
    "AverageUpdate": {"decay": 0.9, "start": 0},
    "AdafactorUpdate": {"decay_power": 0.8, "eps": 1e-12, "min_scale": 1e-3, "clip": 1.0, "weight_decay": 0.1},
    "MuonUpdate": {
        "momentum": 0.95, "nesterov": True, "weight_decay": 0.1, "scale": 0.4, "iterations": 5, "eps": 1e-7,
    },
}  # fmt: skip
SHAPES = [(129, 131), (200, 67), (67, 200), (1, 9001)]
ONE = {"factor": 0.5, "lr": 0.1, "step": 3.0, "seen": 2.0}


def call(name: str, shape: tuple[int, int], reference: bool = False) -> dict[str, bytes]:
    """What a kernel, or the op itself, leaves in its buffers after two calls."""
    kernel, rng = getattr(kernels, name)(), Random(name)
    like = {"r": shape[:1], "c": shape[1:]} | dict.fromkeys(ONE, (1,))
    views = {n: new_buffer(like.get(n, shape)) for n in kernel.op.signature.forward}
    for n, x in views.items():
        flat(x)[:] = array("f", [ONE[n] if n in ONE else abs(rng.gauss(0, 1)) if n in "vrc" else rng.gauss(0, 1)
                                 for _ in range(len(flat(x)))])  # fmt: skip
    shapes, formats = {n: x.shape for n, x in views.items()}, dict.fromkeys(views, "f")
    if reference:
        run = lambda: kernel.op.forward(*views.values(), **SETTINGS[name])  # noqa: E731
    else:
        workspace = new_buffer((max(64, kernel.workspace("forward", shapes, formats, SETTINGS[name])),), "B")
        run = kernel.prepare("forward", views, SETTINGS[name], workspace)
    for _ in range(2):
        run()
    return {n: x.tobytes() for n, x in views.items()}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", SETTINGS)
def test_any_number_of_threads_gives_the_same_bits(
    name: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for threads in ("1", "2", "3", "5"):
        monkeypatch.setenv("MICROGPT_THREADS", threads)
        found.append(call(name, shape))
    assert found[0] == found[1] == found[2] == found[3]


@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
@pytest.mark.parametrize("name", ["AdafactorUpdate", "MuonUpdate"])
def test_larger_matrices_are_the_reference_s(name: str, shape: tuple[int, int]) -> None:
    """Beyond the sizes that the kit tries: several blocks of rows and columns, and a rest of each."""
    found, expected = call(name, shape), call(name, shape, reference=True)
    for n, x in found.items():
        mine, true = memoryview(x).cast("f").tolist(), memoryview(expected[n]).cast("f").tolist()
        assert max(abs(a - b) for a, b in zip(mine, true)) <= 2e-6 * max(map(abs, true)), n


def test_every_rule_has_its_kernels() -> None:
    from microgpt_optimizers.plugin import UPDATES, microgpt_kernels

    assert sorted(microgpt_kernels()) == sorted(f"{who}/{name}" for who in ("numpy", "simd") for name in UPDATES)
    assert set(SETTINGS) == set(UPDATES.values())
