"""The core's ops, ready to call: `ops.rmsnorm(x, weight, eps=1e-5)` computes and records.

One op a file, named after it: formula and derivative in the docstring, the same lines below in Python.
"""

from microgpt_core.components import Op
from microgpt_core.ops.adam_update import AdamUpdate
from microgpt_core.ops.adamw_update import AdamWUpdate
from microgpt_core.ops.add import Add
from microgpt_core.ops.attention import Attention
from microgpt_core.ops.cache_write import CacheWrite
from microgpt_core.ops.clip_factor import ClipFactor
from microgpt_core.ops.cross_entropy import CrossEntropy
from microgpt_core.ops.dropout import Dropout
from microgpt_core.ops.embedding import Embedding
from microgpt_core.ops.gelu import GELU
from microgpt_core.ops.gelu_tanh import GELUTanh
from microgpt_core.ops.global_norm import GlobalNorm
from microgpt_core.ops.layernorm import LayerNorm
from microgpt_core.ops.linear import Linear
from microgpt_core.ops.matmul import MatMul
from microgpt_core.ops.mean import Mean
from microgpt_core.ops.mul import Mul
from microgpt_core.ops.ones_like import OnesLike
from microgpt_core.ops.relu import ReLU
from microgpt_core.ops.relu2 import ReLU2
from microgpt_core.ops.rmsnorm import RMSNorm
from microgpt_core.ops.rope import RoPE
from microgpt_core.ops.sample import Sample
from microgpt_core.ops.scale import Scale
from microgpt_core.ops.sgd_update import SGDUpdate
from microgpt_core.ops.sigmoid import Sigmoid
from microgpt_core.ops.silu import SiLU
from microgpt_core.ops.sinusoidal import Sinusoidal
from microgpt_core.ops.softmax import Softmax
from microgpt_core.ops.sub import Sub
from microgpt_core.ops.sum import Sum
from microgpt_core.ops.swiglu import SwiGLU
from microgpt_core.ops.tanh import Tanh
from microgpt_core.ops.zero import Zero

# From here on each name stands for the op, no longer for the module of that name: `ops.linear(x, weight)`.
embedding, linear, matmul = Embedding(), Linear(), MatMul()
add, sub, mul, scale, sum, mean = Add(), Sub(), Mul(), Scale(), Sum(), Mean()
rmsnorm, layernorm, dropout, rope, sinusoidal = RMSNorm(), LayerNorm(), Dropout(), RoPE(), Sinusoidal()
relu, relu2, gelu, gelu_tanh, silu, swiglu = ReLU(), ReLU2(), GELU(), GELUTanh(), SiLU(), SwiGLU()
sigmoid, tanh, softmax = Sigmoid(), Tanh(), Softmax()
attention, cross_entropy, sample = Attention(), CrossEntropy(), Sample()
global_norm, clip_factor, ones_like, zero, cache_write = GlobalNorm(), ClipFactor(), OnesLike(), Zero(), CacheWrite()
sgd_update, adam_update, adamw_update = SGDUpdate(), AdamUpdate(), AdamWUpdate()

OPS: dict[str, Op] = {value.name: value for value in list(globals().values()) if isinstance(value, Op)}

__all__ = ["OPS", *OPS]
