"""An oracle: the GPT family once more, in PyTorch, written from its formulas, whole tensors at a time.

It shares nothing with the engine but the names of the fields and of the parameters. PyTorch differentiates it.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

Kept: TypeAlias = Callable[[float, tuple[int, ...], int], Tensor]  # by p, shape and place: what dropout multiplies by

ACTIVATIONS = {
    "relu": functional.relu,
    "relu2": lambda x: functional.relu(x) ** 2,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def normalised(x: Tensor, eps: float = 1e-5) -> Tensor:
    return x * torch.rsqrt((x**2).mean(-1, keepdim=True) + eps)


def visible(positions: Tensor, window: int | None = None) -> Tensor:
    """(B, T, T): whether the token of a row may look at the token of a column. Both are rows of one document."""
    n = positions.shape[1]
    query, key = torch.arange(n)[:, None], torch.arange(n)[None, :]
    document_start = torch.arange(n) - positions
    seen = (key <= query) & (key >= document_start[:, :, None])
    return seen if window is None else seen & (query - key < window)


def rotated(x: Tensor, positions: Tensor, theta: float) -> Tensor:
    """x (B, heads, T, D) as complex numbers, number i with number i + D / 2, each multiplied by one of length 1."""
    half = x.shape[-1] // 2
    angles = positions[:, None, :, None] * theta ** (-torch.arange(half, dtype=x.dtype) / half)
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([turned.real, turned.imag], -1)


def waves(positions: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    angles = positions[..., None] / 10000 ** (2 * torch.arange((width + 1) // 2, dtype=dtype) / width)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)[..., :width]


class Twin:
    """Logits from a model's fields and its weights by name."""

    def __init__(self, fields: dict[str, Any], weights: dict[str, Tensor], kept: Kept) -> None:
        self.fields, self.weights, self.kept = fields, weights, kept

    def dropped(self, x: Tensor, place: int) -> Tensor:
        """x with dropout. Places are numbered as a token meets them: the embedding, then two in each block."""
        p = self.fields["dropout"]
        return x * self.kept(p, x.shape, place) if p else x

    def linear(self, name: str, x: Tensor) -> Tensor:
        y = x @ self.weights[f"{name}.weight"].T
        return y + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else y

    def norm(self, name: str, x: Tensor) -> Tensor:
        eps = self.fields["norm_eps"] or 1e-5
        y = normalised(x, eps) if self.fields["norm"] == "rmsnorm" else functional.layer_norm(x, x.shape[-1:], eps=eps)
        y = y * self.weights[f"{name}.weight"] if f"{name}.weight" in self.weights else y
        return y + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else y

    def mixed(self, name: str, x: Tensor, positions: Tensor) -> Tensor:
        batch, length, channels = x.shape
        heads, width = self.fields["n_head"], channels // self.fields["n_head"]

        def projected(letter: str) -> Tensor:
            y = self.linear(f"{name}.{letter}", x).reshape(batch, length, -1, width).permute(0, 2, 1, 3)
            if letter != "v" and self.fields["position"] == "rope":
                y = rotated(y, positions, self.fields["rope_theta"])
            return y.repeat_interleave(heads // y.shape[1], 1)

        scores = projected("q") @ projected("k").transpose(2, 3) / width**0.5
        seen = visible(positions, self.fields["window"])[:, None]
        shares = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        together = (shares @ projected("v")).permute(0, 2, 1, 3).reshape(batch, length, channels)
        return self.linear(f"{name}.o", together)

    def mlp(self, name: str, x: Tensor) -> Tensor:
        hidden = self.linear(f"{name}.fc1", x)
        if self.fields["activation"] == "swiglu":
            hidden = hidden * functional.silu(self.linear(f"{name}.gate", x))
        else:
            hidden = ACTIVATIONS[self.fields["activation"]](hidden)
        return self.linear(f"{name}.fc2", hidden)

    def block(self, layer: int, x: Tensor, positions: Tensor) -> Tensor:
        name = f"block.{layer}"

        def before(part: str, x: Tensor) -> Tensor:
            return self.norm(f"{name}.{part}_norm", x) if self.fields["norm_placement"] == "pre" else x

        def after(part: str, x: Tensor) -> Tensor:
            return self.norm(f"{name}.{part}_norm", x) if self.fields["norm_placement"] == "post" else x

        mixed = self.mixed(f"{name}.attention", before("attention", x), positions)
        x = after("attention", x + self.dropped(mixed, 2 * layer + 1))
        return after("mlp", x + self.dropped(self.mlp(f"{name}.mlp", before("mlp", x)), 2 * layer + 2))

    def logits(self, tokens: Tensor, positions: Tensor) -> Tensor:
        table = self.weights["wte.weight"]
        x = table[tokens]
        if self.fields["position"] == "learned":
            x = x + self.weights["wpe.weight"][positions]
        elif self.fields["position"] == "sinusoidal":
            x = x + waves(positions, x.shape[-1], x.dtype)
        x = self.dropped(x, 0)
        if self.fields["norm_embedding"]:
            x = self.norm("embedding_norm", x)
        for layer in range(self.fields["n_layer"]):
            x = self.block(layer, x, positions)
        if self.fields["norm_final"]:
            x = self.norm("final_norm", x)
        return x @ (table if self.fields["tie_weights"] else self.weights["lm_head.weight"]).T


def mean_loss(z: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    return functional.cross_entropy(z.flatten(0, 1), targets.flatten(), ignore_index=-1, label_smoothing=smoothing)
