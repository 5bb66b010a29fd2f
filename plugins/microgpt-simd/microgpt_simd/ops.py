"""The pack's kernels, one for every op of the core. What they do stands in `kernels/*.c`: the README says where."""

from collections.abc import Mapping
from typing import Any

from microgpt_core import ops
from microgpt_simd.activated_linear import ActivatedLinear, ActivatedLinearBFloat16, number_of
from microgpt_simd.attention_bfloat16 import AttentionBFloat16
from microgpt_simd.kernel import LevelKernel
from microgpt_simd.linear_bfloat16 import LinearBFloat16
from microgpt_simd.linear_cross_entropy import LinearCrossEntropy
from microgpt_simd.linear_packed import LinearPacked, LinearPackedBFloat16, PackWeight, PackWeightBFloat16
from microgpt_simd.linear_qkv import LinearQKV, LinearQKVBFloat16
from microgpt_simd.residual_norm import AddLayerNorm, AddRMSNorm


def by_number(kernel: LevelKernel, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The activation as the code knows it."""
    return {"activation": number_of(attributes["activation"])}


class BentLinear(LevelKernel):
    op = ActivatedLinear()
    numbers = by_number


class BentPairedLinear(LevelKernel):
    op = ActivatedLinearBFloat16()
    numbers = by_number


class Add(LevelKernel):
    op = ops.add


class AdamUpdate(LevelKernel):
    op = ops.adam_update


class AdamWUpdate(LevelKernel):
    op = ops.adamw_update


class SumAndRMSNorm(LevelKernel):
    op = AddRMSNorm()


class SumAndLayerNorm(LevelKernel):
    op = AddLayerNorm()


class Attention(LevelKernel):
    op = ops.attention


class PairedAttention(LevelKernel):
    op = AttentionBFloat16()


class CacheWrite(LevelKernel):
    op = ops.cache_write


class ClipFactor(LevelKernel):
    op = ops.clip_factor


class CrossEntropy(LevelKernel):
    op = ops.cross_entropy


class Dropout(LevelKernel):
    op = ops.dropout


class Embedding(LevelKernel):
    op = ops.embedding


class GELU(LevelKernel):
    op = ops.gelu


class GELUTanh(LevelKernel):
    op = ops.gelu_tanh


class GlobalNorm(LevelKernel):
    op = ops.global_norm


class LayerNorm(LevelKernel):
    op = ops.layernorm


class Linear(LevelKernel):
    op = ops.linear


class PairedLinear(LevelKernel):
    op = LinearBFloat16()


class ThreeLinear(LevelKernel):
    op = LinearQKV()


class ThreePairedLinear(LevelKernel):
    op = LinearQKVBFloat16()


class PackedLinear(LevelKernel):
    op = LinearPacked()


class PackedPairedLinear(LevelKernel):
    op = LinearPackedBFloat16()


class Packing(LevelKernel):
    op = PackWeight()


class PairedPacking(LevelKernel):
    op = PackWeightBFloat16()


class FusedLoss(LevelKernel):
    op = LinearCrossEntropy()
    sets = ("weight_gradient",)


class MatMul(LevelKernel):
    op = ops.matmul


class Mean(LevelKernel):
    op = ops.mean


class Mul(LevelKernel):
    op = ops.mul


class OnesLike(LevelKernel):
    op = ops.ones_like


class ReLU(LevelKernel):
    op = ops.relu


class ReLU2(LevelKernel):
    op = ops.relu2


class RMSNorm(LevelKernel):
    op = ops.rmsnorm


class RoPE(LevelKernel):
    op = ops.rope


class Sample(LevelKernel):
    op = ops.sample


class Scale(LevelKernel):
    op = ops.scale


class SGDUpdate(LevelKernel):
    op = ops.sgd_update


class Sigmoid(LevelKernel):
    op = ops.sigmoid


class SiLU(LevelKernel):
    op = ops.silu


class Sinusoidal(LevelKernel):
    op = ops.sinusoidal


class Softmax(LevelKernel):
    op = ops.softmax


class Sub(LevelKernel):
    op = ops.sub


class Sum(LevelKernel):
    op = ops.sum


class SwiGLU(LevelKernel):
    op = ops.swiglu


class Tanh(LevelKernel):
    op = ops.tanh


class Zero(LevelKernel):
    op = ops.zero


KERNELS: dict[str, type[LevelKernel]] = {kernel.op.name: kernel for kernel in LevelKernel.__subclasses__()}
