"""What pyproject.toml can't say: the kernels in C are compiled where microgpt-simd and a compiler are, or left out."""

import sys
from pathlib import Path

from setuptools import Extension, setup

FOLDER = Path("microgpt_optimizers", "native")
SOURCES = [(FOLDER / f"{name}.c").as_posix() for name in ("module", "elementwise", "adafactor", "muon")]
# Not -ffast-math: these two only say that nobody reads errno or traps after a square root. Contraction is off, so that
# a product and a sum aren't fused on one machine and apart on another. Vectors are handed to nobody: all is inlined.
FLAGS = ["-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
WINDOWS = sys.platform == "win32"

BESIDE = Path(__file__).resolve().parents[1] / "microgpt-simd" / "microgpt_simd" / "include"


def include() -> str | None:
    """Where microgpt-simd's header lies: where that pack is installed, or beside this one in a clone."""
    try:
        import microgpt_simd
    except ImportError:  # as in the environment of its own that pip builds in
        return str(BESIDE) if BESIDE.is_dir() else None
    return microgpt_simd.include()


modules = []
if header := include():
    modules = [
        Extension(
            "microgpt_optimizers.native._native",
            SOURCES,
            include_dirs=[header, FOLDER.as_posix()],
            depends=[(FOLDER / f"{name}.h").as_posix() for name in ("kernel", "lanes")],
            extra_compile_args=["/O2", "/std:c11", "/fp:precise"] if WINDOWS else FLAGS,
            libraries=[] if WINDOWS else ["m"],
            optional=True,  # no compiler, no kernels: the ops run in Python, or on NumPy
        )
    ]

setup(ext_modules=modules)
