"""A training in PyTorch: the loss, backward, AdamW, on batches that are tensors before the clock starts."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from microgpt_bench.peers.torch_compile import compiled, trace_gradients
from microgpt_bench.peers.torch_network import Network, parted, weights_of
from microgpt_core.components import IGNORED, Buffer
from microgpt_core.models.gpt import GPT
from microgpt_core.text.batch import Batch
from microgpt_core.training.optimizers import AdamW


class Rows(NamedTuple):
    """A batch as tensors."""

    tokens: Tensor  # (B, T)
    targets: Tensor  # (B * T,)
    positions: Tensor  # (B, T), or (1, T) where they are all rows'
    mask: Tensor | None  # (B, 1, T, T), 0 or -inf; None: every token sees all before it


Loss: TypeAlias = Callable[[Rows], Tensor]


class TorchTraining:
    """The same training. In bfloat16 the matrix products are; weights, sums and the optimizer stay float32.

    Autocast makes bfloat16 of the weights at each step. Keeping such copies beside them would save that, 0.2 % of
    char-small's step, and would need its own update.
    """

    def __init__(self, model: GPT, batches: Sequence[Batch], optimizer: AdamW, way: str, precision: str) -> None:
        self.network = Network(model)
        self.weights = {name: weight.requires_grad_() for name, weight in self.network.weights.items()}
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.rows, self.steps = [as_rows(batch, dtype) for batch in batches], 0
        loss = partial(loss_of, self.network, dtype)
        if way == "whole-step":
            trace_gradients()
            self.loss, self.step = loss, compiled(whole_step(loss, self.network, optimizer), way)
        else:
            self.loss = compiled(loss, way)
            self.step = step_by_step(self.loss, self.network, optimizer)

    def gradients(self) -> tuple[float, Mapping[str, Buffer]]:
        loss = self.loss(self.rows[0])
        found = dict(zip(self.weights, torch.autograd.grad(loss, list(self.weights.values()))))
        return loss.item(), {
            name: Buffer(gradient.contiguous().numpy().data) for name, gradient in parted(found).items()
        }

    def load(self, model: GPT) -> None:
        with torch.no_grad():
            for name, weight in weights_of(model).items():
                self.weights[name].copy_(weight)

    def run(self, n: int) -> float:
        loss = torch.zeros(())
        for _ in range(n):
            loss = self.step(self.rows[self.steps % len(self.rows)])
            self.steps += 1
        return loss.item()


def as_rows(batch: Batch, dtype: torch.dtype) -> Rows:
    """Packed documents stay in one row, behind a mask. A row for each, padded, needs no mask, but twice the products:
    with names it takes 1.2 to 1.5 times as long. The mask is of numbers: SDPA makes them of a mask of bools each time.
    """
    tokens, targets, positions = (
        torch.tensor(list(x)).view(batch.shape) for x in (batch.tokens, batch.targets, batch.positions)
    )
    place = torch.arange(batch.shape[1])
    if bool((positions == place).all()):
        return Rows(tokens, targets.flatten(), positions[:1], None)
    start = place - positions  # (B, T): where a token's document begins
    seen = (place <= place[:, None]) & (place >= start[:, :, None])
    mask = torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, -torch.inf)
    return Rows(tokens, targets.flatten(), positions, mask[:, None])


def loss_of(network: Network, dtype: torch.dtype, rows: Rows) -> Tensor:
    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=rows.mask, is_causal=rows.mask is None)

    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
        logits = network.logits(rows.tokens, rows.positions, attend)
        return functional.cross_entropy(logits.flatten(0, 1), rows.targets, ignore_index=IGNORED)


def step_by_step(loss: Loss, network: Network, optimizer: AdamW) -> Loss:
    """A step as a training loop has it, with the fused AdamW. Compiling the optimizer as well, fused or foreach, was
    tried without a clear gain; what a graph of the whole step gains is a way of its own."""
    groups = [
        {"params": [w for name, w in network.weights.items() if network.decays[name] is decays], "weight_decay": share}
        for decays, share in ((True, optimizer.weight_decay), (False, 0.0))
    ]
    adamw = torch.optim.AdamW(groups, lr=optimizer.lr, betas=optimizer.betas, eps=optimizer.eps, fused=True)

    def step(rows: Rows) -> Tensor:
        found = loss(rows)
        found.backward()  # type: ignore[no-untyped-call]
        adamw.step()
        adamw.zero_grad()
        return found.detach()

    return step


def whole_step(loss: Loss, network: Network, optimizer: AdamW) -> Loss:
    """Forward, backward and AdamW as one function, for one graph: torch.optim's own breaks it into several."""
    weights = list(network.weights.values())
    decays = [optimizer.weight_decay if network.decays[name] else 0.0 for name in network.weights]
    means, squares = ([torch.zeros_like(w, requires_grad=False) for w in weights] for _ in "mv")
    steps, (beta1, beta2) = torch.zeros(()), optimizer.betas

    def step(rows: Rows) -> Tensor:
        found = loss(rows)
        gradients = torch.autograd.grad(found, weights)
        with torch.no_grad():
            steps.add_(1.0)
            lr, root = optimizer.lr / (1.0 - beta1**steps), (1.0 - beta2**steps).sqrt()
            for w, g, m, v, decay in zip(weights, gradients, means, squares, decays):
                m.lerp_(g, 1.0 - beta1)
                v.mul_(beta2).addcmul_(g, g, value=1.0 - beta2)
                w.mul_(1.0 - optimizer.lr * decay).sub_(lr * m / (v.sqrt() / root + optimizer.eps))
        return found.detach()

    return step
