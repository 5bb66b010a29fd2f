"""A peer: microgpt itself, op by op, to see what its plans save."""

from microgpt_core.components import Peer, flat, new_buffer, write
from microgpt_core.hookspecs import hookimpl
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update


class Steps:
    """A training of a copy of the model: the tape is made anew at each step."""

    def __init__(self, model, batches, optimizer):
        self.model, self.batches, self.lr, self.done = type(model)(**model.config()), batches, optimizer.lr, 0
        self.model.allocate()
        self.load(model)
        self.loss, self.update = BatchLoss(self.model), Update(self.model, optimizer)
        self.update.allocate()

    def load(self, model):
        for name, weights in self.model.state().items():
            write(weights, flat(model.state()[name]))

    def backward(self, batch):
        (inputs,) = self.loss.window_inputs([batch])
        return self.loss.step(*inputs).item()

    def gradients(self):
        loss, found = self.backward(self.batches[0]), {}
        for p in self.model.parameters():
            write(found.setdefault(p.name, new_buffer(p.shape)), flat(p.grad.data))
            p.zero_grad()
        return loss, found

    def run(self, n):
        for _ in range(n):
            loss = self.backward(self.batches[self.done % len(self.batches)])
            self.update.step(*self.update.inputs(self.lr, self.done))
            self.done += 1
        return loss


class Eager(Peer):
    """The tape: each op is called from Python, and has its memory made for it."""

    name = "eager"

    def ways(self, precision):
        return ("tape",) if precision == "float32" else ()

    def training(self, model, batches, optimizer, way, precision, threads):
        return Steps(model, batches, optimizer)


@hookimpl
def microgpt_peers():
    return {"eager": Eager}
