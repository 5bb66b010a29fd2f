"""The pack's kernels, one for every op of the core. What they do stands in `kernels/*.c`, op by op."""

from microgpt_simd.kernel import LevelKernel


class Add(LevelKernel):
    op = "add"


class AdamUpdate(LevelKernel):
    op = "adam_update"


class AdamWUpdate(LevelKernel):
    op = "adamw_update"


class Attention(LevelKernel):
    op = "attention"


class CacheWrite(LevelKernel):
    op = "cache_write"


class ClipFactor(LevelKernel):
    op = "clip_factor"


class CrossEntropy(LevelKernel):
    op = "cross_entropy"


class Dropout(LevelKernel):
    op = "dropout"


class Embedding(LevelKernel):
    op = "embedding"


class GELU(LevelKernel):
    op = "gelu"


class GELUTanh(LevelKernel):
    op = "gelu_tanh"


class GlobalNorm(LevelKernel):
    op = "global_norm"


class LayerNorm(LevelKernel):
    op = "layernorm"


class Linear(LevelKernel):
    op = "linear"


class PairedLinear(LevelKernel):
    op = "linear_bfloat16"


class FusedLoss(LevelKernel):
    op = "linear_cross_entropy"


class MatMul(LevelKernel):
    op = "matmul"


class Mean(LevelKernel):
    op = "mean"


class Mul(LevelKernel):
    op = "mul"


class OnesLike(LevelKernel):
    op = "ones_like"


class ReLU(LevelKernel):
    op = "relu"


class ReLU2(LevelKernel):
    op = "relu2"


class RMSNorm(LevelKernel):
    op = "rmsnorm"


class RoPE(LevelKernel):
    op = "rope"


class Scale(LevelKernel):
    op = "scale"


class SGDUpdate(LevelKernel):
    op = "sgd_update"


class Sigmoid(LevelKernel):
    op = "sigmoid"


class SiLU(LevelKernel):
    op = "silu"


class Sinusoidal(LevelKernel):
    op = "sinusoidal"


class Softmax(LevelKernel):
    op = "softmax"


class Sub(LevelKernel):
    op = "sub"


class Sum(LevelKernel):
    op = "sum"


class SwiGLU(LevelKernel):
    op = "swiglu"


class Tanh(LevelKernel):
    op = "tanh"


class Zero(LevelKernel):
    op = "zero"
