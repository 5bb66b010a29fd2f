"""Every op of microgpt in native code, as wide as this machine's vectors, with threads and replay of whole plans."""

from pathlib import Path

__version__ = "0.1.0"


def include() -> str:
    """The folder with microgpt_simd.h, for the compilers of other packs' kernels."""
    return str(Path(__file__).parent / "include")
