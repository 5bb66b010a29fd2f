"""The sanitizers see what they are there for: one number too many in C, an overflow, a race, planted and reported.

They are run by scripts/sanitize.py; each plant is a library of its own, built with the same flags.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "sanitize.py"
FLAGS = os.environ.get("MICROGPT_SANITIZER", "")
PLANTS = {
    "address": ("float plant(void) { float *p = malloc(28); volatile float x = p[7]; free(p); return x; }",
                "heap-buffer-overflow"),
    "undefined": ("float plant(void) { volatile int x = 2147483647; x = x + 1; return x; }",
                  "signed integer overflow"),
    "thread": ("static float x; static void *w(void *y) { x += 1; return y; }\n"
               "float plant(void) { pthread_t t; pthread_create(&t, 0, w, 0); x += 1; pthread_join(t, 0); return x; }",
               "data race"),
}  # fmt: skip


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_every_test_that_it_runs_is_there(sanitizer: str) -> None:
    """They run at night: a renamed one would be missed only then."""
    named = runpy.run_path(str(SCRIPT))["SANITIZERS"][sanitizer].tests
    for file, _, function in (name.partition("::") for name in named):
        assert f"def {function}(" in (SCRIPT.parents[1] / "tests" / file).read_text(encoding="utf-8") or not function


@pytest.mark.parametrize("plant", PLANTS)
def test_planted_it_is_reported(plant: str, tmp_path: Path) -> None:
    if plant not in FLAGS:
        pytest.skip(f"not under the {plant} sanitizer: scripts/sanitize.py runs it")
    source, reported = PLANTS[plant]
    file, library = tmp_path / "plant.c", tmp_path / "plant.so"
    file.write_text(f"#include <pthread.h>\n#include <stdlib.h>\n{source}\n", encoding="utf-8", newline="\n")
    build = ["gcc", "-shared", "-fPIC", "-g", *FLAGS.split(), "-o", str(library), str(file), "-lpthread"]
    subprocess.run(build, env=os.environ | {"LD_PRELOAD": ""}, check=True)
    code = f"import ctypes; ctypes.CDLL({str(library)!r}).plant()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode != 0
    assert reported in done.stderr
