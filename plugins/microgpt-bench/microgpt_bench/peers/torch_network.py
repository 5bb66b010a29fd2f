"""The GPT in PyTorch: a model's fields and weights, PyTorch's own fastest ops.

Functions of tensors, no modules: what modules do around each call costs a small model more than its numbers. q, k and
v are one product, as everybody writes it who writes for speed.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from microgpt_core.components import Buffer, flat
from microgpt_core.models.gpt import GPT

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "relu2": lambda x: functional.relu(x).square(),
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
}
EPS = 1e-5  # both norms' own
JOINED = "qkv"

# (layer, q, k, v) -> what is mixed of v. All (B, H, T, D).
Attend: TypeAlias = Callable[[int, Tensor, Tensor, Tensor], Tensor]


class Network:
    """Logits from weights by name."""

    def __init__(self, model: GPT, dtype: torch.dtype = torch.float32) -> None:
        self.config = model.config()  # and not the model, whose memory is to be free
        self.activation = ACTIVATIONS[self.config["activation"]]
        self.eps = EPS if model.norm_eps is None else model.norm_eps
        self.weights = {name: weight.to(dtype) for name, weight in weights_of(model).items()}
        self.decays = {name: weight.ndim > 1 for name, weight in self.weights.items()}  # as in microgpt: matrices

    def logits(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Tokens (B, T); positions (B, T), or (1, T) where they are all rows'."""
        w, config = self.weights, self.config
        x = functional.embedding(tokens, w["wte.weight"]) + functional.embedding(positions, w["wpe.weight"])
        if config["norm_embedding"]:
            x = self.norm("embedding_norm", x)
        for layer in range(config["n_layer"]):
            x = x + self.attention(layer, self.norm(f"block.{layer}.attention_norm", x), attend)
            x = x + self.mlp(f"block.{layer}.mlp", self.norm(f"block.{layer}.mlp_norm", x))
        if config["norm_final"]:
            x = self.norm("final_norm", x)
        return functional.linear(x, w["wte.weight" if config["tie_weights"] else "lm_head.weight"])

    def attention(self, layer: int, x: Tensor, attend: Attend) -> Tensor:
        b, t, c = x.shape
        name, h = f"block.{layer}.attention", self.config["n_head"]
        q, k, v = self.linear(f"{name}.{JOINED}", x).view(b, t, 3, h, c // h).permute(2, 0, 3, 1, 4)
        return self.linear(f"{name}.o", attend(layer, q, k, v).transpose(1, 2).reshape(b, t, c))

    def mlp(self, name: str, x: Tensor) -> Tensor:
        return self.linear(f"{name}.fc2", self.activation(self.linear(f"{name}.fc1", x)))

    def linear(self, name: str, x: Tensor) -> Tensor:
        return functional.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights.get(f"{name}.weight"), self.weights.get(f"{name}.bias")
        if self.config["norm"] == "layernorm":
            return functional.layer_norm(x, x.shape[-1:], weight, bias, self.eps)
        # Eager, this is 5 to 10 % of a small model's step faster than functional.rms_norm; compiled it is the same.
        y = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)
        return y if weight is None else y * weight


def weights_of(model: GPT) -> dict[str, Tensor]:
    """Copies of a model's weights, those of q, k and v as one."""
    return joined({p.name: copied(p.data, p.shape) for p in model.parameters()}, model.n_layer)


def copied(data: Buffer, shape: tuple[int, ...]) -> Tensor:
    return torch.frombuffer(flat(data), dtype=torch.float32).clone().view(shape)


def joined(weights: dict[str, Tensor], n_layer: int) -> dict[str, Tensor]:
    """The weights with one matrix (and bias) for q, k and v."""
    found = dict(weights)
    for layer in range(n_layer):
        for kind in ("weight", "bias"):
            names = [f"block.{layer}.attention.{letter}.{kind}" for letter in JOINED]
            if names[0] in found:
                found[f"block.{layer}.attention.{JOINED}.{kind}"] = torch.cat([found.pop(name) for name in names])
    return found


def parted(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The other way: by microgpt's names."""
    found = dict[str, Tensor]()
    for name, value in values.items():
        before, sign, after = name.partition(f".{JOINED}.")
        if sign:
            found |= {f"{before}.{letter}.{after}": part for letter, part in zip(JOINED, value.chunk(3))}
        else:
            found[name] = value
    return found
