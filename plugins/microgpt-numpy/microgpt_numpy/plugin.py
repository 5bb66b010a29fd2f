"""What this pack brings: the backend `numpy`, and a kernel for every op of the core."""

from microgpt_core.hookspecs import hookimpl

KERNELS = {
    "activations": {
        "relu": "ReLU", "relu2": "ReLU2", "sigmoid": "Sigmoid", "tanh": "Tanh", "silu": "SiLU",
        "gelu_tanh": "GELUTanh",
    },
    "add": {"add": "Add"},
    "attention": {"attention": "Attention"},
    "cache_write": {"cache_write": "CacheWrite"},
    "cross_entropy": {"cross_entropy": "CrossEntropy"},
    "dropout": {"dropout": "Dropout"},
    "embedding": {"embedding": "Embedding"},
    "fills": {"zero": "Zero", "ones_like": "OnesLike"},
    "gelu": {"gelu": "GELU"},
    "layernorm": {"layernorm": "LayerNorm"},
    "linear": {"linear": "Linear"},
    "matmul": {"matmul": "MatMul"},
    "norms": {"global_norm": "GlobalNorm", "clip_factor": "ClipFactor"},
    "products": {"sub": "Sub", "mul": "Mul", "scale": "Scale"},
    "rmsnorm": {"rmsnorm": "RMSNorm"},
    "rope": {"rope": "RoPE"},
    "sample": {"sample": "Sample"},
    "sinusoidal": {"sinusoidal": "Sinusoidal"},
    "softmax": {"softmax": "Softmax"},
    "sums": {"sum": "Sum", "mean": "Mean"},
    "swiglu": {"swiglu": "SwiGLU"},
    "updates": {"sgd_update": "SGDUpdate", "adam_update": "AdamUpdate", "adamw_update": "AdamWUpdate"},
}  # fmt: skip


@hookimpl
def microgpt_backends() -> dict[str, str]:
    return {"numpy": "microgpt_numpy.backend:Numpy"}


@hookimpl
def microgpt_kernels() -> dict[str, str]:
    return {
        f"numpy/{op}": f"microgpt_numpy.{module}:{kernel}"
        for module, kernels in KERNELS.items()
        for op, kernel in kernels.items()
    }
