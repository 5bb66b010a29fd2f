"""The pack's tests with its C under a sanitizer of GCC, on Linux: every access beyond a buffer or race is an error.

    python scripts/sanitize.py address|thread [PYTEST ARGUMENT...]

The pack is built in a temporary folder; what is built in place stays as it is. Wants Cython, setuptools and pytest.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

PACK = Path(__file__).resolve().parents[1]
ROOT = PACK.parents[1]


@dataclass(frozen=True)
class Sanitizer:
    """What GCC is told, the libraries that Python has to load first, their settings, and the tests to run."""

    flags: str
    libraries: tuple[str, ...]
    options: dict[str, str]
    tests: tuple[str, ...]


KERNELS = (
    "test_bad_calls.py",
    "test_boundary.py",
    "test_guard_pages.py",
    "test_products.py",
    "test_fused_layers.py",
    "test_models.py",
    "test_attention_bfloat16.py",
    "test_attention_near.py",
    "test_attention_one.py",
    "test_packed_weights.py",
)
PROGRAMS = (  # rewritten by passes, joined in sweeps, timed, and in loops
    "test_passes.py",
    "test_pass_numbers.py",
    "test_sweeps.py",
    "test_timed_program.py",
    "test_warnings.py",
    "test_bits.py::test_a_loop_gives_the_bits_of_step_after_step",
    "test_bits.py::test_a_gradient_that_was_there_before_a_loop_is_added_to",
    "test_bits.py::test_an_error_leaves_the_gradients_of_step_after_step",
)
SHARING = ("test_shared_bits.py", "test_forks.py")
FORKLESS = (  # ThreadSanitizer can't follow a child that was forked beside threads
    "test_shared_bits.py",
    "test_forks.py::test_threads_of_the_interpreter_may_share_at_once",
    "test_forks.py::test_teams_come_and_go",
)
SANITIZERS = {
    # Leaks would be the interpreter's own; a guard page must end a process as without this. Python's memory comes from
    # malloc, so that every buffer has an end of its own.
    "address": Sanitizer(
        "-fsanitize=address,undefined -fno-sanitize-recover=all",
        ("libasan.so", "libubsan.so"),
        {"ASAN_OPTIONS": "detect_leaks=0:handle_segv=0", "PYTHONMALLOC": "malloc"},
        ("test_sanitizers.py", *KERNELS, *PROGRAMS, *SHARING),
    ),
    "thread": Sanitizer("-fsanitize=thread", ("libtsan.so",), {}, ("test_sanitizers.py", *FORKLESS)),
}


def library(name: str) -> str:
    """Where GCC keeps one of its libraries. Raises SystemExit where it has none."""
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, encoding="utf-8", check=True)
    path = found.stdout.strip()
    return path if os.path.isabs(path) else sys.exit(f"GCC has no {name} here: install its sanitizers' libraries")


def build(sanitizer: Sanitizer, folder: Path) -> Path:
    """The pack with its metadata, in a folder for PYTHONPATH."""
    package = folder / "package"
    package.mkdir()
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(package)]
    command += ["build", "--build-base", str(folder / "build"), "--build-lib", str(package)]
    command += ["build_ext", "--parallel", str(os.cpu_count() or 1)]
    flags = f"{sanitizer.flags} -g -fno-omit-frame-pointer"
    subprocess.run(command, cwd=PACK, env=os.environ | {"CC": "gcc", "CFLAGS": flags}, check=True)
    return package


def test(sanitizer: Sanitizer, package: Path, arguments: list[str]) -> int:
    """Run the tests; their exit code."""
    tests = [str(PACK / "tests" / name) for name in sanitizer.tests]
    paths = [str(ROOT), str(package), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | sanitizer.options | {
        "LD_PRELOAD": " ".join(map(library, sanitizer.libraries)),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "MICROGPT_SANITIZER": sanitizer.flags,
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-m", "not long and not slow", *tests, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in SANITIZERS:
        sys.exit(__doc__)
    with TemporaryDirectory() as folder:
        chosen = SANITIZERS[sys.argv[1]]
        sys.exit(test(chosen, build(chosen, Path(folder)), sys.argv[2:]))
