"""The base classes that authors subclass, and the few functions that ops are written with."""

from microgpt_core.components.analyzer import Analyzer
from microgpt_core.components.arithmetic import columns, divide, dot, exp, log, products, sqrt
from microgpt_core.components.backend import Backend, Kernel, LoopPart
from microgpt_core.components.buffer import Buffer, Shape, accumulate, flat, new_buffer, rows, stretches, write
from microgpt_core.components.callback import Callback
from microgpt_core.components.format import Format
from microgpt_core.components.op import Cost, Op, Shapes, show_shape
from microgpt_core.components.passes import Pass
from microgpt_core.components.peer import Peer
from microgpt_core.components.philox import philox
from microgpt_core.components.signature import Signature
from microgpt_core.components.slot import SLOTS, check_slot, fits_slot
from microgpt_core.components.text import IGNORED, Dataset, Tokenizer, Transform
from microgpt_core.components.training import Optimizer, Rule, Schedule
from microgpt_core.components.unary import Unary

__all__ = [
    "Analyzer", "Backend", "Buffer", "Callback", "Cost", "Dataset", "Format", "IGNORED", "Kernel", "LoopPart", "Op",
    "Optimizer", "Pass", "Peer", "Rule", "SLOTS", "Schedule", "Shape", "Shapes", "Signature", "Tokenizer", "Transform",
    "Unary", "accumulate", "check_slot", "columns", "divide", "dot", "exp", "fits_slot", "flat", "log", "new_buffer",
    "philox", "products", "rows", "show_shape", "sqrt", "stretches", "write",
]  # fmt: skip
