"""An oracle: the GPT once more, in PyTorch, written from its formulas, whole tensors at a time.

It shares nothing with the engine but the names of the parameters. PyTorch differentiates it.
"""

import torch
from torch import Tensor
from torch.nn import functional


def normalised(x: Tensor) -> Tensor:
    return x * torch.rsqrt((x**2).mean(-1, keepdim=True) + 1e-5)


def visible(positions: Tensor) -> Tensor:
    """(B, T, T): whether the token of a row may look at the token of a column. Both are rows of one document."""
    n = positions.shape[1]
    query, key = torch.arange(n)[:, None], torch.arange(n)[None, :]
    document_start = torch.arange(n) - positions
    return (key <= query) & (key >= document_start[:, :, None])


def mixed(weights: dict[str, Tensor], name: str, x: Tensor, positions: Tensor, heads: int) -> Tensor:
    batch, length, channels = x.shape

    def projected(letter: str) -> Tensor:
        y = x @ weights[f"{name}.{letter}.weight"].T
        return y.reshape(batch, length, heads, channels // heads).permute(0, 2, 1, 3)

    scores = projected("q") @ projected("k").transpose(2, 3) / (channels // heads) ** 0.5
    shares = scores.masked_fill(~visible(positions)[:, None], -torch.inf).softmax(-1)
    together = (shares @ projected("v")).permute(0, 2, 1, 3).reshape(batch, length, channels)
    return together @ weights[f"{name}.o.weight"].T


def logits(weights: dict[str, Tensor], tokens: Tensor, positions: Tensor, layers: int, heads: int) -> Tensor:
    x = normalised(weights["wte.weight"][tokens] + weights["wpe.weight"][positions])
    for layer in range(layers):
        name = f"block.{layer}"
        x = x + mixed(weights, f"{name}.attention", normalised(x), positions, heads)
        hidden = normalised(x) @ weights[f"{name}.mlp.fc1.weight"].T
        x = x + functional.relu(hidden) ** 2 @ weights[f"{name}.mlp.fc2.weight"].T
    return x @ weights["lm_head.weight"].T


def mean_loss(z: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    return functional.cross_entropy(z.flatten(0, 1), targets.flatten(), ignore_index=-1, label_smoothing=smoothing)
