"""What pyproject.toml can't say: the compiled twins, which are left out where there is no compiler."""

import sys
from pathlib import Path

from setuptools import Extension, setup

SOURCES = Path("microgpt_tokenizers/bpe")
WINDOWS = sys.platform == "win32"

setup(
    ext_modules=[
        Extension(
            "microgpt_tokenizers.bpe.native",
            [str(SOURCES / "native.pyx"), *sorted(str(file) for file in SOURCES.glob("c/*.c"))],
            depends=sorted(str(file) for pattern in ("c/*.h", "*.pxi") for file in SOURCES.glob(pattern)),
            extra_compile_args=["/O2", "/std:c11"] if WINDOWS else ["-O3", "-std=c11"],
            optional=True,  # without it pip says so, and the twins in Python do the same work
        )
    ]
)
