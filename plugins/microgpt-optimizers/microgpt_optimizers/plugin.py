"""What this pack brings: update rules with their kernels, optimizers, and schedules."""

from importlib.util import find_spec

from microgpt_core.hookspecs import hookimpl

UPDATES = {
    "rmsprop_update": "RMSpropUpdate",
    "adagrad_update": "AdagradUpdate",
    "lion_update": "LionUpdate",
    "adafactor_update": "AdafactorUpdate",
    "muon_update": "MuonUpdate",
    "clip_value": "ClipValue",
    "average_update": "AverageUpdate",
}
ARRAYS = {"adafactor_update": "adafactor", "muon_update": "muon"}  # the others are number by number


@hookimpl
def microgpt_ops() -> dict[str, str]:
    return {name: f"microgpt_optimizers.updates.{name}:{cls}" for name, cls in UPDATES.items()}


@hookimpl
def microgpt_kernels() -> dict[str, str]:
    kernels = {
        f"numpy/{name}": f"microgpt_optimizers.arrays.{ARRAYS.get(name, 'elementwise')}:{cls}"
        for name, cls in UPDATES.items()
    }
    if find_spec("microgpt_optimizers.native._native"):  # compiled, which not every installation can: see setup.py
        kernels |= {f"simd/{name}": f"microgpt_optimizers.native.kernels:{cls}" for name, cls in UPDATES.items()}
    return kernels


@hookimpl
def microgpt_optimizers() -> dict[str, str]:
    return {
        "rmsprop": "microgpt_optimizers.rmsprop:RMSprop",
        "adagrad": "microgpt_optimizers.adagrad:Adagrad",
        "lion": "microgpt_optimizers.lion:Lion",
        "adafactor": "microgpt_optimizers.adafactor:Adafactor",
        "muon": "microgpt_optimizers.muon:Muon",
        "groups": "microgpt_optimizers.groups:Groups",
        "split": "microgpt_optimizers.split:Split",
        "clip-value": "microgpt_optimizers.clip_value:ClipValue",
        "average": "microgpt_optimizers.average:Average",
    }


@hookimpl
def microgpt_schedules() -> dict[str, str]:
    return {
        "restarts": "microgpt_optimizers.schedules:Restarts",
        "step": "microgpt_optimizers.schedules:StepDown",
        "exponential": "microgpt_optimizers.schedules:Exponential",
        "inverse-sqrt": "microgpt_optimizers.schedules:InverseSqrt",
        "one-cycle": "microgpt_optimizers.schedules:OneCycle",
        "wsd": "microgpt_optimizers.schedules:WSD",
        "plateau": "microgpt_optimizers.plateau:Plateau",
    }
