"""Without a compiler the pack installs all the same, and everything that is compiled comes with its source."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("setuptools", reason="setup.py is tried only where setuptools is")
pytest.importorskip("Cython", reason="setup.py translates Cython before it compiles")
PACK = Path(__file__).parents[1]
SOURCES = PACK / "microgpt_tokenizers/bpe"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows finds its compiler without CC")
def test_without_a_compiler_it_is_left_out(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--build-lib", tmp_path / "lib", "--build-temp", tmp_path / "temp"],
        cwd=PACK, env=os.environ | {"CC": "no-such-compiler"}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 'building extension "microgpt_tokenizers.bpe.native" failed' in done.stdout + done.stderr
    assert not list(tmp_path.rglob("native.*.so"))


def test_every_source_is_compiled_and_every_header_is_read() -> None:
    """A file that nobody takes would be forgotten when it changes."""
    names = {file.name for file in SOURCES.glob("c/*.h")}
    text = "".join(file.read_text(encoding="utf-8") for file in (*SOURCES.glob("c/*"), *SOURCES.glob("*.p[yx][xi]")))
    assert {name for name in names if f'"{name}"' not in text and f'"c/{name}"' not in text} == set()
    assert {file.stem for file in SOURCES.glob("c/*.c")} > {"scan_gpt2", "trainer", "encode", "classes"}


def test_the_table_of_characters_is_what_the_script_makes(tmp_path: Path) -> None:
    """But for the version that it names: other versions of `regex` with the same Unicode make the same."""
    code = "import runpy; print(runpy.run_path('scripts/make_classes.py')['source'](), end='')"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACK, capture_output=True, encoding="utf-8", check=True)
    committed = (SOURCES / "c/classes.c").read_text(encoding="utf-8")
    assert done.stdout.partition("*/")[2] == committed.partition("*/")[2]
