"""Generating in PyTorch: one token after the other, with keys and values kept in memory that is there from the start.

Eager, attention looks at what is written so far; compiled, at all of the memory behind a mask, since a graph has fixed
shapes.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from microgpt_bench.peers.torch_compile import compiled
from microgpt_bench.peers.torch_network import Network
from microgpt_core.models.gpt import GPT


class TorchGeneration:
    """The same text. In bfloat16 the weights are, as nothing has to learn."""

    def __init__(self, model: GPT, way: str, precision: str) -> None:
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.network = Network(model, dtype)
        shape = (1, model.n_head, model.block_size, model.n_embd // model.n_head)
        self.keys, self.values = ([torch.zeros(shape, dtype=dtype) for _ in range(model.n_layer)] for _ in "kv")
        every = torch.arange(model.block_size)
        self.places = list(every[:, None, None])  # (1, 1) each
        if way == "eager":
            self.sights: Sequence[Tensor | None] = [None] * model.block_size
        else:
            hidden = every > every[:, None, None, None, None]  # (S, 1, 1, 1, S)
            self.sights = list(torch.zeros(hidden.shape, dtype=dtype).masked_fill(hidden, -torch.inf))
        self.next: Callable[[Tensor, Tensor, Tensor | None], Tensor] = compiled(self.likeliest, way)
        self.first = self.token = torch.zeros(1, 1, dtype=torch.int64)
        self.at = 0

    def run(self, n: int) -> Sequence[int]:
        written = []
        with torch.inference_mode():
            for _ in range(n):
                if self.at == len(self.places):
                    self.at, self.token = 0, self.first
                self.token = self.next(self.token, self.places[self.at], self.sights[self.at])
                self.at += 1
                written.append(self.token)
        return [int(token) for token in written]

    def likeliest(self, token: Tensor, place: Tensor, sight: Tensor | None) -> Tensor:
        """The token after a token (1, 1) at its place (1, 1)."""

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys = self.keys[layer].index_copy_(2, place[0], k)
            values = self.values[layer].index_copy_(2, place[0], v)
            if sight is None:
                keys, values = keys[:, :, : self.at + 1], values[:, :, : self.at + 1]
            return functional.scaled_dot_product_attention(q, keys, values, attn_mask=sight)

        return self.network.logits(token, place, attend)[:, -1].argmax(-1, keepdim=True)
