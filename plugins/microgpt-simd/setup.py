"""What pyproject.toml can't say: the kernels are compiled once for each level of instructions, by GCC or Clang."""

import os
import platform
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, CompileError, LinkError, PlatformError

# Not -ffast-math: these two only say that nobody reads errno or traps after a square root. Contraction is off, so that
# a product and a sum are fused where the source says so and nowhere else.
FLAGS = ["-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
WIDER = {
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mfma", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mprefer-vector-width=512"],
}
WIDER["avx512bf16"] = [*WIDER["avx512"], "-mavx512bf16"]
# Where the compiler knows no AMX, or the system gives no tiles, there is one level less.
AMX = {"amx": [*WIDER["avx512bf16"], "-mamx-tile", "-mamx-bf16"]}
WINDOWS = sys.platform == "win32"
SOURCES = "microgpt_simd"
KERNELS = [str(file) for pattern in ("kernels/*.[ch]", "include/*.h", "*.pxi") for file in Path(SOURCES).glob(pattern)]
NO_COMPILER = (
    "It needs GCC 12 or later, or Clang, and Python's headers: on Debian `apt install gcc python3-dev`, on macOS "
    '`xcode-select --install`, on Windows Visual Studio\'s build tools with its component "C++ Clang tools". microgpt '
    "works without this pack, only more slowly; microgpt-numpy is fast and needs no compiler."
)


def target() -> str:
    """The processor to compile for, which on a Mac needn't be the one that compiles."""
    machines = re.findall(r"-arch\s+(\w+)", os.environ.get("ARCHFLAGS", ""))
    if len(machines) > 1:
        sys.exit(f"microgpt-simd: each processor has a wheel of its own; ARCHFLAGS asks for {' and '.join(machines)}")
    machine = machines[0] if machines else sysconfig.get_platform().rpartition("-")[2]
    if machine == "universal2":  # a Python for both kinds of Mac: then for this one
        machine = platform.machine()
        os.environ["ARCHFLAGS"] = f"-arch {machine}"
    return machine


def extension(name: str, sources: list[str], flags: list[str], optional: bool = False) -> Extension:
    """A module. Clang-cl takes Clang's own flags behind a prefix; if an optional one fails, pip only says so."""
    flags = [*FLAGS, *flags]
    return Extension(
        f"microgpt_simd.{name}",
        [f"{SOURCES}/{source}" for source in sources],
        include_dirs=[f"{SOURCES}/include"],
        depends=KERNELS,
        extra_compile_args=[f"/clang:{flag}" for flag in flags] if WINDOWS else flags,
        libraries=[] if WINDOWS else ["m", "pthread"],
        optional=optional,
    )


def levels() -> dict[str, list[str]]:
    """The levels to compile, with their flags: each a module that is imported only where the processor has it."""
    wider = WIDER if target() in ("x86_64", "amd64") else {}
    gives_tiles = sysconfig.get_platform() == "linux-x86_64"  # tiles.h knows how to ask no other system
    return {"baseline": [], **wider, **(AMX if gives_tiles else {})}


class BuildKernels(build_ext):
    """Building: levels side by side, Clang in the place of Microsoft's compiler, and a word for whoever has neither."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()  # pip has no way to ask for it

    def run(self) -> None:
        try:
            super().run()
        except (CCompilerError, CompileError, LinkError, PlatformError) as error:
            sys.exit(f"microgpt-simd could not be compiled ({error}). {NO_COMPILER}")

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            self.take_clang()
        super().build_extensions()

    def take_clang(self) -> None:
        """Clang-cl, which links as Microsoft's does: cl has no vectors of the size that one asks for."""
        self.compiler.initialize()
        clang = shutil.which("clang-cl", path=os.pathsep.join([self.compiler._paths, os.environ["PATH"]]))
        if clang is None:
            raise PlatformError("clang-cl isn't on PATH, and Microsoft's own compiler can't")
        self.compiler.cc = clang


setup(
    cmdclass={"build_ext": BuildKernels},
    ext_modules=[
        extension("native", ["native.pyx", "team.c"], []),
        *(extension(f"_{name}", [f"kernels/level_{name}.c"], flags, name in AMX) for name, flags in levels().items()),
    ],
)
