"""Products on AMX's tiles, on processors without: the tiles are those in plain C (kernels/amx.h), compiled here."""

import ctypes
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from microgpt_core.components import flat
from microgpt_core.engine.backends import Kernels
from microgpt_core.testing.case import Case, Run, make_case
from microgpt_simd import kernel, roofs
from microgpt_simd.activated_linear import ActivatedLinearBFloat16
from microgpt_simd.levels import LEVELS, cpu_features, tiles_refused
from microgpt_simd.linear_bfloat16 import LinearBFloat16
from microgpt_simd.linear_packed import LinearPackedBFloat16, PackWeightBFloat16
from microgpt_simd.linear_qkv import LinearQKVBFloat16

COMPILER = shutil.which(os.environ.get("CC") or "cc")
PACKAGE = Path(__file__).parents[1] / "microgpt_simd"  # of the clone: it isn't in the wheel
FLAGS = ["-std=c11", "-ffp-contract=off", "-shared", "-fPIC", "-DMG_AMX_IN_C", "-mfma", "-mavx512bf16"]
FLAGS += ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"]
SOURCE = """
#include "activations.c"
#include "linear.c"
#include "activated_linear.c"
#include "linear_packed.c"
#include "linear_qkv.c"
#include "roofs.c"
int forward(const mg_call *call) { return linear_bfloat16_forward(call); }
int backward(const mg_call *call) { return linear_bfloat16_backward(call); }
int64_t workspace(const mg_call *call) { return product_workspace(call); }
int bent(const mg_call *call) { return activated_linear_bfloat16_forward(call); }
int bent_backward(const mg_call *call) { return activated_linear_bfloat16_backward(call); }
int64_t bent_workspace(const mg_call *call) { return product_workspace(call); }
int64_t bent_backward_workspace(const mg_call *call) { return activated_linear_backward_workspace(call); }
int three(const mg_call *call) { return linear_qkv_bfloat16_forward(call); }
int three_backward(const mg_call *call) { return linear_qkv_bfloat16_backward(call); }
int64_t three_workspace(const mg_call *call) { return linear_qkv_bfloat16_forward_workspace(call); }
int64_t three_backward_workspace(const mg_call *call) { return linear_qkv_bfloat16_backward_workspace(call); }
int packed(const mg_call *call) { return linear_packed_bfloat16_forward(call); }
int64_t packed_workspace(const mg_call *call) { return linear_packed_bfloat16_workspace(call); }
int pack_(const mg_call *call) { return pack_weight_bfloat16_forward(call); }
int roof(const mg_call *call) { return roof_tiles(call); }
int64_t roof_workspace_(const mg_call *call) { return roof_tiles_workspace(call); }
"""
KERNEL, WORKSPACE = b"microgpt_simd.kernel.2", b"microgpt_simd.workspace.2"
FUNCTIONS = {
    "forward": ("forward", KERNEL),
    "backward": ("backward", KERNEL),
    "forward workspace": ("workspace", WORKSPACE),
    "backward workspace": ("workspace", WORKSPACE),
    **{
        f"{op} {method}{what}": (f"{op}{'_backward' * (method == 'backward')}{'_workspace' * bool(what)}", kind)
        for op in ("bent", "three")
        for method in ("forward", "backward")
        for what, kind in (("", KERNEL), (" workspace", WORKSPACE))
    },
    "packed": ("packed", KERNEL),
    "packed workspace": ("packed_workspace", WORKSPACE),
    "pack": ("pack_", KERNEL),
    "roof.tiles": ("roof", KERNEL),
    "roof.tiles workspace": ("roof_workspace_", WORKSPACE),
}
# Rows, inputs, outputs: inside a tile, over its edges, and those of a stretch of k and of the columns packed at a time.
SIZES = [
    (1, 1, 1), (2, 3, 67), (5, 33, 17), (16, 32, 16), (17, 31, 33), (33, 64, 15), (32, 65, 32), (48, 16, 47),
    (67, 67, 67), (3, 513, 20), (20, 1100, 33), (7, 40, 530), (530, 5, 40),
]  # fmt: skip
GRADIENTS = frozenset({"d_x", "d_weight", "d_bias"})

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="no C compiler on PATH, so that the tiles in C can't be compiled"),
    pytest.mark.skipif(not LEVELS["avx512bf16"] <= cpu_features(), reason="numbers are paired by AVX-512-BF16"),
    pytest.mark.skipif(platform.system() != "Linux", reason="there is no such level elsewhere"),
]


def compiled(folder: Path, old: str = "", new: str = "") -> Mapping[str, Any]:
    """The functions of linear_bfloat16 on tiles in C. In their sources `old`, which is there once, becomes `new`."""
    for name in ("kernels", "include"):
        shutil.copytree(PACKAGE / name, folder / name)
    if old:
        (file,) = (f for f in folder.glob("kernels/amx*.h") if old in f.read_text(encoding="utf-8"))
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1
        file.write_text(text.replace(old, new), encoding="utf-8", newline="\n")
    source, library = folder / "kernels" / "only.c", folder / "only.so"
    source.write_text(SOURCE, encoding="utf-8", newline="\n")
    subprocess.run([str(COMPILER), *FLAGS, str(source), "-o", str(library), "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))
    return {name: capsule(loaded, *function) for name, function in FUNCTIONS.items()}


def capsule(library: ctypes.CDLL, name: str, kind: bytes) -> Any:
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return make(ctypes.cast(library[name], ctypes.c_void_p), kind, None)


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    return compiled(tmp_path_factory.mktemp("amx"))


@pytest.fixture
def tiled(functions: Mapping[str, Any], kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    """The pack's kernels, whose bfloat16 products are made on tiles in C."""
    packed = {"forward": functions["packed"], "forward workspace": functions["packed workspace"]}
    of_op: dict[str, Mapping[str, Any]] = {
        "linear_packed_bfloat16": packed,
        "pack_weight_bfloat16": {"forward": functions["pack"]},
    }
    of_op |= {"activated_linear_bfloat16": of(functions, "bent"), "linear_qkv_bfloat16": of(functions, "three")}
    monkeypatch.setattr(kernel, "op_functions", lambda level, op: of_op.get(op, functions))
    return kernels


def of(functions: Mapping[str, Any], op: str) -> Mapping[str, Any]:
    return {name.removeprefix(f"{op} "): f for name, f in functions.items() if name.startswith(f"{op} ")}


def linear(m: int, k: int, n: int, bias: bool = True) -> Case:
    shapes: dict[str, Any] = {"x": (m, k), "weight": (n, k)} | ({"bias": (n,)} if bias else {})
    return make_case(LinearBFloat16(), shapes, {}, "f", seed=m * 10007 + k * 101 + n)


RUNS: dict[str, Callable[[Case], Run]] = {
    "forward": lambda case: case.forward(held=9.0),
    "added": lambda case: case.backward(case.differentiable, held=0.5),
}


def set_(case: Case) -> Run:
    """Backward that writes the gradients, where the reference adds them to zeros."""
    sets = case.written("backward") if case.kernels.backends else ()
    return case.backward(case.differentiable, held=9.0 if sets else 0.0, sets=sets)


def wrong(case: Case, kernels: Kernels) -> list[str]:
    """What isn't the reference's, which sums in float64: by more than 1e-6 of the sum of what was added, by size."""
    found = []
    sizes = replace(case.with_floats(abs), unsigned=True)
    for name, run in (RUNS | {"set": set_}).items():
        mine, true, most = run(replace(case, kernels=kernels)), run(case), run(sizes)
        for output in case.written("forward" if name == "forward" else "backward"):
            numbers = (flat(r.after[output]) for r in (mine, true, most))  # type: ignore[arg-type]
            if not all(abs(a - b) <= 1e-6 * size for a, b, size in zip(*numbers)):
                found.append(f"{output} {name}")
        found += mine.spilled
    return found


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products_on_tiles_are_those_of_the_reference(size: tuple[int, int, int], bias: bool, tiled: Kernels) -> None:
    assert wrong(linear(*size, bias), tiled) == []


PLANTED = [
    ("(first[n] + second[n])", "first[n]"),  # half of each pair
    ("if (along != left)", "if (along == left)"),
    ("amx_dot(3, 5, 7)", "amx_dot(3, 5, 6)"),
    ("p + 1 < k ?", "p + 2 < k ?"),  # the last of an odd number of rows
    (".add = p->add || k0 > 0", ".add = p->add"),  # the second stretch forgets the first
    ("bias && k0 == 0 ?", "bias ?"),  # and has the bias again
    ("+ n0 + j : 0", "+ n0 : 0"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), PLANTED)
def test_a_planted_bug_is_found(
    old: str, new: str, kernels: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = compiled(tmp_path / "planted", old, new)
    monkeypatch.setattr(kernel, "op_functions", lambda level, op: functions)
    assert any(wrong(linear(*size), kernels) for size in SIZES)


@pytest.mark.parametrize(("k", "n"), [(5, 3), (64, 64), (513, 33), (40, 530)])
def test_a_row_alone_has_the_bits_that_it_has_in_a_batch(k: int, n: int, tiled: Kernels) -> None:
    case = replace(linear(50, k, n), kernels=tiled)
    whole = flat(case.forward().after["out"])  # type: ignore[arg-type]
    x = case.inputs["x"]
    assert x is not None
    for count in (1, 2, 7, 16, 33):
        some = replace(case, inputs={**case.inputs, "x": flat(x)[: count * k].cast("B").cast("f", (count, k))})
        assert flat(some.forward().after["out"]).tolist() == whole[: count * n].tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_packed_weight_gives_the_same_bits(size: tuple[int, int, int], bias: bool, tiled: Kernels) -> None:
    """In a session weights are packed once: a token's product has to have the bits of the training's."""
    case = replace(linear(*size, bias), kernels=tiled)
    pack = make_case(PackWeightBFloat16(), {"weight": case.inputs["weight"].shape}, {}, "f")  # type: ignore[union-attr]
    pack = replace(pack, inputs={"weight": case.inputs["weight"]}, kernels=tiled)
    packed = pack.forward().after["packed"]
    inputs = {"x": case.inputs["x"], "packed": packed, "bias": case.inputs["bias"]}
    after = Case(LinearPackedBFloat16(), inputs, {"n_out": size[2]}, tiled).forward().after
    assert after["out"].tobytes() == case.forward().after["out"].tobytes()  # type: ignore[union-attr]


def bent(m: int, k: int, n: int) -> Case:
    """relu's slope is 1 at most, so that the sizes of what is added stay those of the product."""
    shapes: dict[str, Any] = {"x": (m, k), "weight": (n, k), "bias": (n,)}
    return make_case(ActivatedLinearBFloat16(), shapes, {"activation": "relu"}, "f", seed=m * 10007 + k * 101 + n)


# And over the columns that are bent at a time, in more than one stretch of k.
BENT = [*SIZES, (70, 700, 40), (40, 70, 700), (700, 600, 20)]


@pytest.mark.parametrize("size", BENT, ids=str)
def test_what_is_bent_on_its_way_to_tiles_is_that_of_the_reference(size: tuple[int, int, int], tiled: Kernels) -> None:
    assert wrong(bent(*size), tiled) == []


@pytest.mark.parametrize(("rows", "n_in"), [(1, 1), (4, 33), (131, 300)])
def test_three_layers_of_one_input_on_tiles(rows: int, n_in: int, tiled: Kernels) -> None:
    shapes: dict[str, Any] = {"x": (rows, n_in), "w_q": (75, n_in), "w_k": (30, n_in), "w_v": (33, n_in), "b_k": (30,)}
    assert wrong(make_case(LinearQKVBFloat16(), shapes, {}, "f", seed=rows), tiled) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bend_rows(f, room, some,", "bend_rows(f, room, some + 1,"),  # rows further apart than they are read
        ("if (k0 + k_here == k)", "if (k0 == 0)"),  # the slopes before all is summed
        ("to += step / TILE *", "to += 0 *"),  # the next columns on top of these
        ("{room, k_here, 1}", "{room, k, 1}"),
    ],
)
def test_a_planted_bug_in_what_is_bent_is_found(
    old: str, new: str, tiled: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = of(compiled(tmp_path / "planted", old, new), "bent")
    monkeypatch.setattr(kernel, "op_functions", lambda level, op: planted)
    assert any(wrong(bent(*size), tiled) for size in BENT[-3:])


@pytest.mark.parametrize("size", [(130, 300, 75), (40, 120, 190)], ids=str)
def test_any_number_of_threads_gives_the_same_bits(
    size: tuple[int, int, int], tiled: Kernels, threads: Callable[[int], None]
) -> None:
    """Shared by rows, and by columns."""
    found = []
    for n in (1, 2, 3, 8):
        threads(n)
        case = replace(linear(*size), kernels=tiled)
        after = case.forward().after | RUNS["added"](case).after
        found.append({name: after[name].tobytes() for name in ("out", *sorted(GRADIENTS))})  # type: ignore[union-attr]
    assert all(other == found[0] for other in found)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_roofline_counts_the_operations_that_are_made(
    threads: int, functions: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in test_roofs.py: a round adds 1 to each sum 32 times."""
    monkeypatch.setattr(roofs, "level_kernels", lambda level: functions)
    (what,) = (one for one in roofs.COMPUTING if one.kernel == "roof.tiles")
    peak = roofs.Peak(what, threads, rounds=5)
    for run in (1, 2):
        assert peak() == 2 * 32 * 5 * len(peak.sums)
        assert set(peak.sums) == {32.0 * 5 * run}


@pytest.mark.long
def test_the_check_for_a_processor_with_tiles_runs(tmp_path: Path) -> None:
    """Where there are none it says so; where there are, they have the bits of those in C."""
    program = tmp_path / "check"
    subprocess.run(["sh", str(PACKAGE.parent / "scripts" / "amx_check.sh"), str(program)], check=True)
    done = subprocess.run([program], capture_output=True, encoding="utf-8")
    lines = done.stdout.splitlines()
    if "amx-tile" in cpu_features() and tiles_refused() is None:
        assert (done.returncode, sum(line.endswith(" 0 numbers differ") for line in lines)) == (0, 32)
    else:
        assert (done.returncode, [line.partition(":")[0] for line in lines]) == (1, ["no tiles"])
