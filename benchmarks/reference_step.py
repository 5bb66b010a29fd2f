"""How close the reference comes to the multiply-adds it can't avoid, in pure Python.

    python benchmarks/reference_step.py [--rounds 20] [--json]

For the golden models e16, e64 and e128: the time of a whole training step (forward, backward, AdamW; float32)
over the time that the multiply-adds of its matrix products take in the barest Python there is,
`sum(map(mul, a, b))` on lists of the products' own lengths (`math.sumprod` from Python 3.12 on). The two are
timed in turn, round by round, in one process; printed are the medians and the median of the ratios.
"""


from microgpt_core.engine.planner import Call  # noqa: F401

MODELS = {"e16": (16, 1, 8), "e64": (64, 2, 16), "e128": (128, 4, 32)}  # n_embd, n_layer, block_size
BARS = {"e16": 4.0, "e64": 2.0, "e128": 1.6}
