"""Mish on the backend simd: which native function is which method, and the op that both are held to."""

from collections.abc import Mapping

from microgpt_mish import native
from microgpt_mish.mish import Mish
from microgpt_simd.kernel import NativeKernel


class MishKernel(NativeKernel):
    """mish on the backend simd."""

    op = Mish()
    sets = ("d_x",)

    def functions(self) -> Mapping[str, object]:
        return native.functions
