"""Attention with bfloat16 products: what `precision: bfloat16` makes of rows that are long enough.

    p_ts  = exp(a r(q_t) . r(k_s) - lse_t)        out_t = sum_s r(p_ts) r(v_s)
    e_ts  = a p_ts r(d_t) . (r(v_s) - out_t)      d_q_t = sum_s r(e_ts) r(k_s)
    d_v_s = sum_t r(p_ts) r(d_t)                  d_k_s = sum_t r(e_ts) r(q_t)

r rounds to bfloat16; exp, sums and results are float32. This reference leaves p and e as they are: how a kernel rounds
them depends on the highest score so far, and its numbers may be off by half a unit in bfloat16's last place.
"""

from microgpt_core.components import Buffer
from microgpt_core.ops.attention import Attention
from microgpt_simd.linear_bfloat16 import to_bfloat16


class AttentionBFloat16(Attention):
    name = "attention_bfloat16"
    rounds = True
    tolerance = 2.0**-8
    examples = (
        {"q": (2, 7, 6), "k": (2, 7, 6), "v": (2, 7, 6), "n_head": 3},
        {"q": (1, 37, 36), "k": (1, 37, 18), "v": (1, 37, 18), "n_head": 4},
        {"q": (1, 67, 2), "k": (1, 67, 1), "v": (1, 67, 1), "n_head": 2, "window": 65},
        {"q": (1, 7, 5), "k": (1, 7, 5), "v": (1, 7, 5), "n_head": 1, "positions": [[0, 1, 2, 0, 0, 1, 2]]},
        {"q": (1, 3, 2), "k": (1, 131, 2), "v": (1, 131, 2), "n_head": 1, "start": [127]},
        {"q": (1, 1, 1), "k": (1, 1, 1), "v": (1, 1, 1), "n_head": 1},
    )  # fmt: skip

    def forward(
        self, out: Buffer, lse: Buffer, q: Buffer, k: Buffer, v: Buffer, positions: Buffer | None, start: Buffer | None,
        *, n_head: int, window: int | None,
    ) -> None:  # fmt: skip
        # as in Attention
        q, k, v = map(to_bfloat16, (q, k, v))
        super().forward(out, lse, q, k, v, positions, start, n_head=n_head, window=window)

    def backward(
        self, d_q: Buffer | None, d_k: Buffer | None, d_v: Buffer | None, d_out: Buffer, out: Buffer, lse: Buffer,
        q: Buffer, k: Buffer, v: Buffer, positions: Buffer | None, start: Buffer | None,
        *, n_head: int, window: int | None,
    ) -> None:  # fmt: skip
        d_out, q, k, v = map(to_bfloat16, (d_out, q, k, v))
        saved = out, lse
        super().backward(d_q, d_k, d_v, d_out, *saved, q, k, v, positions, start, n_head=n_head, window=window)
