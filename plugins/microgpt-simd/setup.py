"""What pyproject.toml can't say: the kernels are compiled once for each level of instructions."""

import platform
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, CompileError, LinkError

# Not -ffast-math: these two only say that nobody reads errno or traps after a square root. Contraction is off, so that
# a product and a sum are fused where the source says so and nowhere else.
FLAGS = ["-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
LEVELS = {"baseline": list[str]()}
if platform.machine().lower() in ("x86_64", "amd64"):
    LEVELS["avx2"] = ["-mavx2", "-mfma"]
    LEVELS["avx512"] = [
        "-mfma", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mprefer-vector-width=512",
    ]  # fmt: skip
    LEVELS["avx512bf16"] = [*LEVELS["avx512"], "-mavx512bf16"]
LINKED = [] if sys.platform == "win32" else ["m", "pthread"]
SOURCES = "microgpt_simd"
KERNELS = [str(file) for pattern in ("kernels/*.[ch]", "include/*.h") for file in Path(SOURCES).glob(pattern)]


def level(name: str, flags: list[str]) -> Extension:
    """The kernels at one level, as a module of its own that is imported only where the processor has it."""
    return Extension(
        f"microgpt_simd._{name}",
        [f"{SOURCES}/kernels/level_{name}.c"],
        depends=KERNELS,
        extra_compile_args=[*FLAGS, *flags],
        libraries=LINKED,
    )


class BuildKernels(build_ext):
    """Building, with a word for whoever has no compiler."""

    def run(self) -> None:
        try:
            super().run()
        except (CCompilerError, CompileError, LinkError) as error:
            sys.exit(
                f"microgpt-simd could not be compiled ({error}). It needs GCC 12 or later, or Clang, and Python's "
                "headers: on Debian `apt install gcc python3-dev`, on macOS `xcode-select --install`. microgpt works "
                "without this pack, only more slowly; microgpt-numpy is fast and needs no compiler."
            )


setup(
    cmdclass={"build_ext": BuildKernels},
    ext_modules=[
        Extension(
            "microgpt_simd.native",
            [f"{SOURCES}/native.pyx", f"{SOURCES}/team.c"],
            include_dirs=[f"{SOURCES}/include"],
            extra_compile_args=FLAGS,
            libraries=LINKED,
        ),
        *(level(name, flags) for name, flags in LEVELS.items()),
    ],
)
