"""What this pack brings: the backend `simd`, and a kernel for every op of the core."""

from microgpt_core.hookspecs import hookimpl

KERNELS = {
    "activated_linear": "BentLinear", "activated_linear_bfloat16": "BentPairedLinear", "adam_update": "AdamUpdate",
    "adamw_update": "AdamWUpdate", "add": "Add", "add_layernorm": "SumAndLayerNorm", "add_rmsnorm": "SumAndRMSNorm",
    "attention": "Attention", "attention_bfloat16": "PairedAttention", "cache_write": "CacheWrite",
    "clip_factor": "ClipFactor", "cross_entropy": "CrossEntropy", "dropout": "Dropout", "embedding": "Embedding",
    "gelu": "GELU", "gelu_tanh": "GELUTanh", "global_norm": "GlobalNorm", "layernorm": "LayerNorm", "linear": "Linear",
    "linear_bfloat16": "PairedLinear", "linear_cross_entropy": "FusedLoss", "linear_packed": "PackedLinear",
    "linear_packed_bfloat16": "PackedPairedLinear", "linear_qkv": "ThreeLinear",
    "linear_qkv_bfloat16": "ThreePairedLinear", "matmul": "MatMul", "mean": "Mean", "mul": "Mul",
    "ones_like": "OnesLike", "pack_weight": "Packing", "pack_weight_bfloat16": "PairedPacking", "relu": "ReLU",
    "relu2": "ReLU2", "rmsnorm": "RMSNorm", "rope": "RoPE", "sample": "Sample", "scale": "Scale",
    "sgd_update": "SGDUpdate", "sigmoid": "Sigmoid", "silu": "SiLU", "sinusoidal": "Sinusoidal", "softmax": "Softmax",
    "sub": "Sub", "sum": "Sum", "swiglu": "SwiGLU", "tanh": "Tanh", "zero": "Zero",
}  # fmt: skip


@hookimpl
def microgpt_backends() -> dict[str, str]:
    return {"simd": "microgpt_simd.backend:Simd"}


@hookimpl
def microgpt_ops() -> dict[str, str]:
    return {
        "activated_linear": "microgpt_simd.activated_linear:ActivatedLinear",
        "activated_linear_bfloat16": "microgpt_simd.activated_linear:ActivatedLinearBFloat16",
        "add_layernorm": "microgpt_simd.residual_norm:AddLayerNorm",
        "add_rmsnorm": "microgpt_simd.residual_norm:AddRMSNorm",
        "attention_bfloat16": "microgpt_simd.attention_bfloat16:AttentionBFloat16",
        "linear_bfloat16": "microgpt_simd.linear_bfloat16:LinearBFloat16",
        "linear_qkv": "microgpt_simd.linear_qkv:LinearQKV",
        "linear_qkv_bfloat16": "microgpt_simd.linear_qkv:LinearQKVBFloat16",
        "linear_cross_entropy": "microgpt_simd.linear_cross_entropy:LinearCrossEntropy",
    }


@hookimpl
def microgpt_passes() -> dict[str, str]:
    return {
        "activated-linear": "microgpt_simd.passes.activated_linear:FusedActivation",
        "bfloat16": "microgpt_simd.passes.bfloat16:BFloat16",
        "fused-loss": "microgpt_simd.passes.fused_loss:FusedLoss",
        "linear-qkv": "microgpt_simd.passes.linear_qkv:FusedQKV",
        "packed-weights": "microgpt_simd.passes.packed_weights:PackedWeights",
        "residual-norm": "microgpt_simd.passes.residual_norm:ResidualNorm",
        "selective-recompute": "microgpt_simd.passes.selective_recompute:SelectiveRecompute",
        "shared-gradient": "microgpt_simd.passes.shared_gradient:SharedGradient",
    }


@hookimpl
def microgpt_kernels() -> dict[str, str]:
    return {f"simd/{op}": f"microgpt_simd.ops:{kernel}" for op, kernel in KERNELS.items()}
