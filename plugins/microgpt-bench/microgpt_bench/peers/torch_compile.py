"""How PyTorch is compiled for each way, and with how many threads it runs.

`compiled` and `max-autotune` are what a training loop does: torch.compile around the loss, then backward and the fused
AdamW called from Python. On CPUs `max-autotune` finds little more than the default. A small model waits for Python
between its kernels, so `whole-step` has forward, backward and AdamW in one graph with a wrapper in C++: on e16 it takes
about a fifth of the time of the others, on w64 half of eager's. Of char-small the matrix products are most, and the
ways are nearly the same. A C++ wrapper without the whole step in its graph gains a tenth, so it is no way of its own.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

from microgpt_core.errors import ConfigurationError

Function = TypeVar("Function", bound=Callable[..., Any])

SETTINGS: dict[str, dict[str, Any]] = {
    "compiled": {},
    "max-autotune": {"mode": "max-autotune"},
    "whole-step": {"options": {"max_autotune": True, "cpp_wrapper": True}},
}


def compiled(function: Function, way: str) -> Function:
    """The function as that way runs it: as it is, or one graph of its own for the shapes that it is given."""
    if way not in SETTINGS:
        return function
    made: Any = torch.compile(function, fullgraph=True, dynamic=False, **SETTINGS[way])
    return cast(Function, made)


def check_compiler() -> None:
    """Raises ConfigurationError where torch.compile doesn't work, as without a C++ compiler."""
    try:
        torch.compile(lambda x: x + 1)(torch.ones(1))
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigurationError(f"torch.compile, which needs a C++ compiler, doesn't work here: {reason}") from error


def trace_gradients() -> None:
    """Let a graph hold its own backward pass. Raises ConfigurationError for a PyTorch that can't."""
    if not hasattr(torch._dynamo.config, "trace_autograd_ops"):
        raise ConfigurationError(f"PyTorch {torch.__version__} can't compile a whole step; try: pip install -U torch")
    torch._dynamo.config.trace_autograd_ops = True


def use_threads(threads: int) -> None:
    """So many threads within an op; and no ops beside each other, which can be said only once in a process."""
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:
        torch.set_num_interop_threads(1)
