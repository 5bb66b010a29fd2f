"""What this pack brings: the backend `simd`, and a kernel for every op of the core."""

from microgpt_core.hookspecs import hookimpl

KERNELS = {
    "add": "Add", "adam_update": "AdamUpdate", "adamw_update": "AdamWUpdate", "attention": "Attention",
    "cache_write": "CacheWrite", "clip_factor": "ClipFactor", "cross_entropy": "CrossEntropy", "dropout": "Dropout",
    "embedding": "Embedding", "gelu": "GELU", "gelu_tanh": "GELUTanh", "global_norm": "GlobalNorm",
    "layernorm": "LayerNorm", "linear": "Linear", "linear_bfloat16": "PairedLinear",
    "linear_cross_entropy": "FusedLoss", "linear_packed": "PackedLinear",
    "linear_packed_bfloat16": "PackedPairedLinear", "matmul": "MatMul", "mean": "Mean", "mul": "Mul",
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
        "linear_bfloat16": "microgpt_simd.linear_bfloat16:LinearBFloat16",
        "linear_cross_entropy": "microgpt_simd.linear_cross_entropy:LinearCrossEntropy",
    }


@hookimpl
def microgpt_passes() -> dict[str, str]:
    return {
        "bfloat16": "microgpt_simd.passes.bfloat16:BFloat16",
        "fused-loss": "microgpt_simd.passes.fused_loss:FusedLoss",
        "packed-weights": "microgpt_simd.passes.packed_weights:PackedWeights",
        "selective-recompute": "microgpt_simd.passes.selective_recompute:SelectiveRecompute",
        "shared-gradient": "microgpt_simd.passes.shared_gradient:SharedGradient",
    }


@hookimpl
def microgpt_kernels() -> dict[str, str]:
    return {f"simd/{op}": f"microgpt_simd.ops:{kernel}" for op, kernel in KERNELS.items()}
