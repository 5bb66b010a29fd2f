"""PyTorch as a peer: which models it is measured with, and in which ways. PyTorch is imported when one is asked for."""

from collections.abc import Sequence
from importlib.util import find_spec

from microgpt_core.components import Optimizer
from microgpt_core.components.peer import Generation, Peer, Training
from microgpt_core.errors import ConfigurationError, require
from microgpt_core.models.gpt import GPT
from microgpt_core.models.model import Model
from microgpt_core.text.batch import Batch
from microgpt_core.training.optimizers import AdamW

PRECISIONS = ("float32", "bfloat16")
WAYS = {  # what each has PyTorch do
    "eager": "eager",
    "compiled": "torch.compile(fullgraph=True, dynamic=False) around the loss",
    "max-autotune": "the same with mode='max-autotune'",
    "whole-step": "forward, backward and AdamW in one torch.compile with max_autotune and cpp_wrapper",
}
EVERYWHERE = "scaled_dot_product_attention, q/k/v as one product"

# Field -> the values that the twin has.
PARTS: dict[str, tuple[object, ...]] = {
    "activation": ("relu", "relu2", "gelu", "gelu_tanh", "silu"),
    "norm": ("rmsnorm", "layernorm"),
    "norm_placement": ("pre",),
    "position": ("learned",),
    "attention": ("attention",),
    "window": (None,),
    "dropout": (0.0,),
}


class Torch(Peer):
    """PyTorch with its fused attention and AdamW, eager or compiled."""

    name = "torch"

    def unavailable(self) -> str | None:
        return None if find_spec("torch") else "PyTorch isn't installed; try: pip install torch"

    def ways(self, precision: str) -> Sequence[str]:
        return tuple(WAYS) if precision in PRECISIONS else ()

    def settings(self, way: str, precision: str) -> str:
        autocast = ", torch.autocast(bfloat16)" if precision == "bfloat16" else ""
        adamw = "" if way == "whole-step" else ", AdamW(fused=True)"
        return f"{WAYS[way]}; {EVERYWHERE}{adamw}{autocast}"

    def training(
        self, model: Model, batches: Sequence[Batch], optimizer: Optimizer, way: str, precision: str, threads: int
    ) -> Training:
        from microgpt_bench.peers.torch_training import TorchTraining

        network = known(model)
        if type(optimizer) is not AdamW:
            raise ConfigurationError(f"optimizer: found {optimizer.name}, allowed for PyTorch: adamw")
        self.get_ready(way, precision, threads)
        return TorchTraining(network, batches, optimizer, way, precision)

    def generation(self, model: Model, way: str, precision: str, threads: int) -> Generation:
        from microgpt_bench.peers.torch_generation import TorchGeneration

        network = known(model)
        self.get_ready(way, precision, threads)
        return TorchGeneration(network, way, precision)

    def get_ready(self, way: str, precision: str, threads: int) -> None:
        """Have as many threads as everybody. Raises ConfigurationError for a way that there isn't, or not here."""
        from microgpt_bench.peers.torch_compile import check_compiler, use_threads

        require(
            way in self.ways(precision), "way", f"{way!r} in {precision}", f"{', '.join(WAYS)} in float32, bfloat16"
        )
        use_threads(threads)
        if way != "eager":
            check_compiler()


def known(model: Model) -> GPT:
    """The model, if PyTorch's twin has all of its parts. Raises ConfigurationError naming the one that it hasn't."""
    if not isinstance(model, GPT):
        raise ConfigurationError(f"model: found {model.use}, allowed for PyTorch: gpt")
    for field, allowed in PARTS.items():
        value = model.config()[field]
        require(value in allowed, field, value, f"for PyTorch {', '.join(map(str, allowed))}")
    require(model.n_kv_head in (None, model.n_head), "n_kv_head", model.n_kv_head, f"for PyTorch {model.n_head}")
    frozen = [p.name for p in model.parameters() if not p.requires_grad]
    require(not frozen, "freeze", ", ".join(frozen), "nothing for PyTorch")
    return model
