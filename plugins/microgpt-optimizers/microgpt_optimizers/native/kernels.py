"""The update rules on the backend simd: which native functions are whose, and the op that they are held to."""

from collections.abc import Mapping

from microgpt_optimizers.native import _native
from microgpt_optimizers.updates.adafactor_update import AdafactorUpdate as AdafactorOp
from microgpt_optimizers.updates.adagrad_update import AdagradUpdate as AdagradOp
from microgpt_optimizers.updates.average_update import AverageUpdate as AverageOp
from microgpt_optimizers.updates.clip_value import ClipValue as ClipValueOp
from microgpt_optimizers.updates.lion_update import LionUpdate as LionOp
from microgpt_optimizers.updates.muon_update import MuonUpdate as MuonOp
from microgpt_optimizers.updates.rmsprop_update import RMSpropUpdate as RMSpropOp
from microgpt_simd.kernel import NativeKernel


class Compiled(NativeKernel):
    """A rule whose functions have its op's name."""

    def functions(self) -> Mapping[str, object]:
        return _native.functions[self.op.name]


class RMSpropUpdate(Compiled):
    """rmsprop_update on the backend simd."""

    op = RMSpropOp()


class AdagradUpdate(Compiled):
    """adagrad_update on the backend simd."""

    op = AdagradOp()


class LionUpdate(Compiled):
    """lion_update on the backend simd."""

    op = LionOp()


class ClipValue(Compiled):
    """clip_value on the backend simd."""

    op = ClipValueOp()


class AverageUpdate(Compiled):
    """average_update on the backend simd."""

    op = AverageOp()


class AdafactorUpdate(Compiled):
    """adafactor_update on the backend simd."""

    op = AdafactorOp()


class MuonUpdate(Compiled):
    """muon_update on the backend simd."""

    op = MuonOp()
