"""What this pack brings."""

from microgpt_core.hookspecs import hookimpl


@hookimpl
def microgpt_ops() -> dict[str, str]:
    return {"mish": "microgpt_mish.mish:Mish"}


@hookimpl
def microgpt_kernels() -> dict[str, str]:
    return {"numpy/mish": "microgpt_mish.numpy_kernel:MishKernel"}
