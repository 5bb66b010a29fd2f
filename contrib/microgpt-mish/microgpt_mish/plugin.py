"""What this pack brings."""

from importlib.util import find_spec

from microgpt_core.hookspecs import hookimpl


@hookimpl
def microgpt_ops() -> dict[str, str]:
    return {"mish": "microgpt_mish.mish:Mish"}


@hookimpl
def microgpt_kernels() -> dict[str, str]:
    kernels = {"numpy/mish": "microgpt_mish.numpy_kernel:MishKernel"}
    if find_spec("microgpt_mish.native"):  # compiled, which not every installation can: see setup.py
        kernels["simd/mish"] = "microgpt_mish.simd_kernel:MishKernel"
    return kernels
