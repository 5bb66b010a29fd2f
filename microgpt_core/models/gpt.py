"""GPT: a stack of blocks between an embedding and a head. Radford et al. 2019; Brown et al. 2020.

Its fields make it GPT-2, Llama, the one-page program of docs/learn, and what lies between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from math import isfinite
from typing import Literal, get_args, get_type_hints

from microgpt_core import ops
from microgpt_core.components import Op
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import ConfigurationError, DoesNotFitError, nearest, require
from microgpt_core.models.model import Model
from microgpt_core.models.parts.attention import Cache, SelfAttention
from microgpt_core.models.parts.block import Block, dropped
from microgpt_core.models.parts.embedding import Embedding
from microgpt_core.models.parts.linear import Linear
from microgpt_core.models.parts.mlp import MLP, is_gated
from microgpt_core.models.parts.norm import Norm

MOST_LAYERS = 1000  # the deepest transformer that was ever trained (Wang et al. 2022); each block is built and planned


@dataclass(eq=False)
class GPT(Model):
    """A decoder-only transformer, from GPT-2 to Llama.

    Fields:
        vocab_size: the number of tokens; comes from the tokenizer
        block_size: the most tokens it sees at once
        n_layer: blocks, one after the other
        n_head: attention heads in each block
        n_kv_head: heads of keys and values, each shared by n_head / n_kv_head heads; null: n_head
        n_embd: numbers per token; must be divisible by n_head
        mlp_ratio: the width of the MLP as a multiple of n_embd
        n_hidden: the MLP's width; null: mlp_ratio x n_embd, with a gate two thirds of it, up to a multiple of 8
        activation: the op between the MLP's matrices; one that takes a gate, such as swiglu, gets a third matrix
        norm: the op that brings a token's numbers to one scale
        norm_weight: whether norms learn a gain for each channel
        norm_bias: whether norms learn a shift for each channel
        norm_eps: the norm's small constant; null: the op's own
        norm_placement: before each half of a block, or after its sum
        norm_embedding: whether a norm follows the embedding
        norm_final: whether a norm stands before the head
        position: how a token knows its place: a row for it (learned), turned queries and keys (rope), added waves
            (sinusoidal), not at all (none)
        rope_theta: with rope, the slowest wavelength is about 2 pi times this
        attention: the op that mixes the values
        window: tokens that attention sees at most, the token's own among them; null: all before it
        bias: whether the matrices of the blocks have biases
        tie_weights: whether the head shares the embedding's matrix
        dropout: in training, the share of the embedding and of each half's output that is set to 0
        init_std: standard deviation of the first weights
        init_output_std: the same for the matrices that write into the residual stream
    """

    use = "gpt"
    tunable = ("dropout", "init_std", "init_output_std")
    slots = {"activation": "activation", "norm": "norm", "attention": "attention"}

    block_size: int = 16
    n_layer: int = 1
    n_head: int = 4
    n_kv_head: int | None = None
    n_embd: int = 16
    mlp_ratio: int = 4
    n_hidden: int | None = None
    activation: str | Op = "relu2"
    norm: str | Op = "rmsnorm"
    norm_weight: bool = False
    norm_bias: bool = False
    norm_eps: float | None = None
    norm_placement: Literal["pre", "post"] = "pre"
    norm_embedding: bool = True
    norm_final: bool = False
    position: Literal["learned", "rope", "sinusoidal", "none"] = "learned"
    rope_theta: float = 10000.0
    attention: str | Op = "attention"
    window: int | None = None
    bias: bool = False
    tie_weights: bool = False
    dropout: float = 0.0
    init_std: float = 0.02
    init_output_std: float = 0.0

    def __post_init__(self) -> None:
        self.check()
        if self.n_layer > MOST_LAYERS:
            raise DoesNotFitError(f"n_layer: found {self.n_layer:,}, allowed: up to {MOST_LAYERS:,} blocks")
        self.wte = Embedding(self.vocab_size, self.n_embd, self.init_std)
        self.wpe = Embedding(self.block_size, self.n_embd, self.init_std) if self.position == "learned" else None
        self.lm_head = Linear(self.n_embd, self.vocab_size, self.init_std)
        if self.tie_weights:
            self.lm_head.weight = self.wte.weight
        self.block = [self.make_block(i) for i in range(self.n_layer)]
        self.embedding_norm = self.make_norm() if self.norm_embedding else None
        self.final_norm = self.make_norm() if self.norm_final else None

    def make_block(self, layer: int) -> Block:
        std, output_std = self.init_std, self.init_output_std
        attention = SelfAttention(
            self.n_embd,
            self.n_head,
            std,
            output_std,
            op=self.op("attention"),
            n_kv_head=self.n_kv_head,
            window=self.window,
            rope_theta=self.rope_theta if self.position == "rope" else None,
            bias=self.bias,
        )
        mlp = MLP(self.n_embd, self.hidden_width, self.op("activation"), std, output_std, self.bias)
        post_norm, stream = self.norm_placement == "post", 1 + 2 * layer  # the embedding's stream is 0
        return Block(attention, mlp, self.make_norm(), self.make_norm(), post_norm, self.dropout, stream)

    def make_norm(self) -> Norm:
        return Norm(self.op("norm"), self.n_embd, self.norm_weight, self.norm_bias, self.norm_eps)

    def forward(
        self, tokens: Tensor, positions: Tensor, caches: Sequence[Cache] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        x = self.wte(tokens)  # (B, T, C)
        if self.wpe is not None:
            x = x + self.wpe(positions)
        elif self.position == "sinusoidal":
            x = ops.sinusoidal(x, positions)
        x = dropped(x, noise, self.dropout, stream=0)
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        for block, cache in zip(self.block, caches or repeat(None)):
            x = block(x, positions, cache, noise)
        if self.final_norm is not None:
            x = self.final_norm(x)
        return self.lm_head(x)  # (B, T, V)

    def caches(self, start: Tensor, rows: int) -> list[Cache]:
        def empty(width: int) -> Tensor:
            return Tensor(Value((start.shape[0], rows, width), self.wte.weight.value.format, persistent=True))

        attentions = [block.attention for block in self.block if block.attention.can_cache]
        return [Cache(empty(a.kv_width), empty(a.kv_width), start) for a in attentions]

    @property
    def separates_documents(self) -> bool:
        return all("positions" in block.attention.op.signature.inputs for block in self.block)

    @property
    def noisy(self) -> bool:
        return self.dropout > 0

    @property
    def hidden_width(self) -> int:
        """Numbers per token between the MLP's matrices; a gate's third matrix is paid for by narrower ones."""
        width = self.mlp_ratio * self.n_embd
        return self.n_hidden or (-(-2 * width // 24) * 8 if is_gated(self.op("activation")) else width)

    def check(self) -> None:
        """Raise ConfigurationError for values that no model can have."""
        for field in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd", "mlp_ratio"):
            value = getattr(self, field)
            require(is_whole(value) and value >= 1, field, value, "a whole number, 1 or more")
        for field in ("n_kv_head", "n_hidden", "window"):
            value = getattr(self, field)
            known = value is None or (is_whole(value) and value >= 1)
            require(known, field, value, "a whole number, 1 or more, or null")
        for field in ("init_std", "init_output_std"):
            value = getattr(self, field)
            require(is_number(value) and value >= 0, field, value, "0 or more")
        for field in ("norm_eps", "rope_theta"):
            value = getattr(self, field)
            may_miss = field == "norm_eps" and value is None
            require(may_miss or (is_number(value) and value > 0), field, value, "more than 0")
        require(is_number(self.dropout) and 0 <= self.dropout < 1, "dropout", self.dropout, "0 to 1, without 1")
        for field in ("position", "norm_placement"):
            value, allowed = getattr(self, field), get_args(get_type_hints(type(self))[field])
            require(value in allowed, field, f"{value!r}{nearest(str(value), allowed)}", ", ".join(allowed))
        self.check_heads()

    def check_heads(self) -> None:
        """Raise ConfigurationError where heads don't share the width evenly."""
        if self.n_embd % self.n_head:
            near = -(-self.n_embd // self.n_head) * self.n_head
            raise ConfigurationError(
                f"n_embd: found {self.n_embd}, which must be divisible by n_head = {self.n_head}; "
                f"{near}, for example, would be"
            )
        if self.n_kv_head and self.n_head % self.n_kv_head:
            shared = [n for n in range(1, min(self.n_head, 1000) + 1) if self.n_head % n == 0]
            require(False, "n_kv_head", self.n_kv_head, f"a divisor of n_head: {shared}")
        width = self.n_embd // self.n_head
        even = f"rope with heads of {width} numbers (n_embd / n_head)"
        require(width % 2 == 0 or self.position != "rope", "position", even, "an even number, since rope turns pairs")


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
