"""microgpt: a small GPT from first principles, to read, to extend and to use.

    import microgpt_core as mg

    run = mg.run("names")
    print(run.model.generate("em"))

Everything public is here; whatever isn't may move. Names are imported when they are first used, so that
importing the package is quick and needs nothing but Python.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from microgpt_core import ops as ops
    from microgpt_core.components import (
        Analyzer as Analyzer,
        Backend as Backend,
        Callback as Callback,
        Dataset as Dataset,
        Format as Format,
        Kernel as Kernel,
        Op as Op,
        Optimizer as Optimizer,
        Pass as Pass,
        Peer as Peer,
        Rule as Rule,
        Schedule as Schedule,
        Tokenizer as Tokenizer,
        Transform as Transform,
        Unary as Unary,
        accumulate as accumulate,
        exp as exp,
        flat as flat,
        rows as rows,
        write as write,
    )  # fmt: skip
    from microgpt_core.engine.capture import capture as capture, plan_of as plan_of
    from microgpt_core.engine.context import no_grad as no_grad, scope as scope
    from microgpt_core.engine.tape import tape as tape
    from microgpt_core.engine.tensor import Tensor as Tensor, tensor as tensor
    from microgpt_core.errors import Interrupted as Interrupted, MicrogptError as MicrogptError
    from microgpt_core.hookspecs import hookimpl as hookimpl
    from microgpt_core.inference.language_model import LanguageModel as LanguageModel
    from microgpt_core.models.gpt import GPT as GPT
    from microgpt_core.models.model import Model as Model
    from microgpt_core.pipeline.api import plan as plan, resume as resume, run as run
    from microgpt_core.pipeline.dry_run import dry_run as dry_run
    from microgpt_core.pipeline.reproduce import reproduce as reproduce
    from microgpt_core.pipeline.stage import stage as stage
    from microgpt_core.pipeline.trained import export as export, load as load
    from microgpt_core.plugins.selection import AllowCode as AllowCode, Without as Without
    from microgpt_core.testing.gradients import check as check
    from microgpt_core.training.trainer import Trainer as Trainer

# Where each public name comes from.
PUBLIC = {
    **dict.fromkeys(
        ("Analyzer", "Backend", "Callback", "Dataset", "Format", "Kernel", "Op", "Optimizer", "Pass", "Peer", "Rule",
         "Schedule", "Tokenizer", "Transform", "Unary", "accumulate", "exp", "flat", "rows", "write"), "components",
    ),
    "capture": "engine.capture",
    "plan_of": "engine.capture",
    "no_grad": "engine.context",
    "scope": "engine.context",
    "tape": "engine.tape",
    "Tensor": "engine.tensor",
    "tensor": "engine.tensor",
    "Interrupted": "errors",
    "MicrogptError": "errors",
    "hookimpl": "hookspecs",
    "LanguageModel": "inference.language_model",
    "GPT": "models.gpt",
    "Model": "models.model",
    "plan": "pipeline.api",
    "AllowCode": "plugins.selection",
    "Without": "plugins.selection",
    "reproduce": "pipeline.reproduce",
    "resume": "pipeline.api",
    "run": "pipeline.api",
    "dry_run": "pipeline.dry_run",
    "stage": "pipeline.stage",
    "export": "pipeline.trained",
    "load": "pipeline.trained",
    "check": "testing.gradients",
    "Trainer": "training.trainer",
}  # fmt: skip

__all__ = ["__version__", "ops", *PUBLIC]


def __getattr__(name: str) -> Any:
    if name == "ops":
        return import_module("microgpt_core.ops")
    if name not in PUBLIC:
        raise AttributeError(f"module 'microgpt_core' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"microgpt_core.{PUBLIC[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
