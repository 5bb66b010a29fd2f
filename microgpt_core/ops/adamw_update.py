"""AdamW: Adam with weight decay apart from the gradient. Loshchilov and Hutter 2019, arXiv:1711.05101.

w <- w - lr weight_decay w              then Adam's step, see adam_update.py
"""

from math import isfinite, prod

from microgpt_core.ops.adam_update import AdamUpdate, adam


class AdamWUpdate(AdamUpdate):
    name = "adamw_update"

    def shapes(self, w, grad, factor, lr, step, m, v, *, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0):
        return super().shapes(w, grad, factor, lr, step, m, v, beta1=beta1, beta2=beta2, eps=eps)

    def forward(self, w, grad, factor, lr, step, m, v, *, beta1, beta2, eps, weight_decay):  # as in Adam
        if isfinite(factor[0]):
            adam(w, grad, factor[0], lr[0], step[0] + 1.0, m, v, beta1, beta2, eps, decay=lr[0] * weight_decay)

    def cost(self, w, grad, factor, lr, step, m, v, *, beta1, beta2, eps, weight_decay):
        """14 per parameter: Adam's 13 and the decay."""
        return {"forward": 14 * prod(w)}
