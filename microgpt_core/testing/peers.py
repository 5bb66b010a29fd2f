"""What every peer promises: it says how it can be run, and computes what microgpt computes.

Of each precision the first way is tried, since a compiled one takes its time; a benchmark compares all that it times.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from math import inf, isfinite
from random import Random

from microgpt_core.components import Buffer, Peer, flat
from microgpt_core.inference.session import Session
from microgpt_core.models.gpt import GPT
from microgpt_core.testing.case import bits
from microgpt_core.testing.report import Check, NotTested, checks
from microgpt_core.text.batch import Batch, packed, windows
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.update import Update

ALLOWED = {"float32": 1e-4, "bfloat16": 5e-2}  # of a loss; of a gradient, beside its largest number
AT_ONCE = (1, 2, 1)  # steps, one call after the other
TOKENS = 12  # more than a block
OPTIMIZER = AdamW(lr=0.01, betas=(0.8, 0.9), weight_decay=0.3)  # each setting shows
STREAM = array("i", Random(1).choices(range(11), k=40))
BATCHES = {
    "windows": [windows(STREAM, starts, 8) for starts in ([0, 7, 20], [3, 11, 30])],
    "packed documents": [packed([STREAM[:5], STREAM[9:17], STREAM[20:n]], 16) for n in (23, 22)],
}


class Own:
    """A training by the reference, as a peer's."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.model, self.batches, self.steps = tiny(), batches, 0
        self.loss, self.update = BatchLoss(self.model), Update(self.model, OPTIMIZER)
        self.update.allocate()

    def gradients(self) -> tuple[float, Mapping[str, Buffer]]:
        loss, found = self.loss.train(self.batches[:1]), dict[str, Buffer]()
        for name, grad in ((p.name, p.grad) for p in self.model.parameters()):
            assert grad is not None
            found[name] = Buffer(array("f", flat(grad.data)))
        for p in self.model.parameters():
            p.zero_grad()
        return loss, found

    def run(self, n: int) -> float:
        loss = 0.0
        for _ in range(n):
            loss = self.loss.train([self.batches[self.steps % len(self.batches)]])
            self.update(OPTIMIZER.lr, self.steps)
            self.steps += 1
        return loss


def tiny() -> GPT:
    """Weights so large that nothing in it is nearly linear."""
    model = GPT(vocab_size=11, block_size=8, n_layer=2, n_head=2, n_embd=6, init_std=0.4, init_output_std=0.4)
    model.allocate()
    model.initialise(Random(1))
    return model


def peer_checks(peer: Peer, component: str = "") -> list[Check]:
    """The checks of a peer on a small GPT; they are skipped where it can't run."""

    def make() -> Peer:
        if reason := peer.unavailable():
            raise NotTested(reason)
        if type(peer).training is Peer.training and type(peer).tokenizer is not Peer.tokenizer:
            raise NotTested("it trains nothing; what it makes of a text, a benchmark compares before it times it")
        return peer

    return checks(component or f"peer {peer.name}", RULES, make)


def says_its_ways(peer: Peer) -> Iterator[str]:
    """`ways` gives names, none where it has no such precision."""
    for precision in ALLOWED:
        ways: object = peer.ways(precision)
        if not isinstance(ways, tuple | list) or not all(isinstance(way, str) and way for way in ways):
            yield f"ways({precision!r}) returns {ways!r}; expected names, such as ('eager', 'compiled'), or ()"
            return
    if not any(peer.ways(precision) for precision in ALLOWED):
        yield f"it has no way to run in {' or '.join(ALLOWED)}"


def trains_the_same(peer: Peer) -> Iterator[str]:
    """The loss and the gradients of the first batch, then the losses of a few steps, are the reference's."""
    for precision, allowed in ALLOWED.items():
        for kind, batches in BATCHES.items():
            for way in peer.ways(precision)[:1]:
                own, other = Own(batches), peer.training(tiny(), batches, OPTIMIZER, way, precision, 1)
                (loss, expected), (first, found) = own.gradients(), other.gradients()
                errors = {"the loss": distance([first], [loss])}
                errors |= {f"the gradient of {n}": distance(flat(found[n]), flat(g)) for n, g in expected.items()}
                ends = ([training.run(n) for n in AT_ONCE] for training in (other, own))
                errors["what is the loss after some steps"] = distance(*ends)
                what, error = max(errors.items(), key=lambda item: item[1])
                if error > allowed:
                    yield f"{way} in {precision}, {kind}: {what} is off by {error:.1e} of its size; allowed: {allowed}"


def loads_weights(peer: Peer) -> Iterator[str]:
    """After some steps and `load` of the first weights, the gradients are the first ones again."""
    for way in peer.ways("float32")[:1]:
        batches = BATCHES["windows"]
        training, (_, expected) = peer.training(tiny(), batches, OPTIMIZER, way, "float32", 1), Own(batches).gradients()
        training.run(2)
        training.load(tiny())
        _, found = training.gradients()
        errors = {name: distance(flat(found[name]), flat(gradient)) for name, gradient in expected.items()}
        what, error = max(errors.items(), key=lambda item: item[1])
        if error > ALLOWED["float32"]:
            yield f"{way}: after two steps and load(), the gradient of {what} is off by {error:.1e} of its size"


def distance(found: Sequence[float], expected: Sequence[float]) -> float:
    """The largest difference, beside the largest number; infinite where there is nothing to compare."""
    if len(found) != len(expected) or not all(map(isfinite, found)):
        return inf
    return max(abs(a - b) for a, b in zip(found, expected)) / max(map(abs, expected))


def copies_the_weights(peer: Peer) -> Iterator[str]:
    """The model that it is given stays what it is: others begin with it."""
    for way in peer.ways("float32")[:1]:
        model, batches = tiny(), BATCHES["windows"]
        before = {name: bits(w) for name, w in model.state().items()}
        peer.training(model, batches, OPTIMIZER, way, "float32", 1).run(2)
        if changed := [name for name, w in model.state().items() if bits(w) != before[name]]:
            yield f"it trains the weights of the model that it is given, such as {changed[0]}; copy them"


def writes_the_same(peer: Peer) -> Iterator[str]:
    """In float32, the likeliest tokens one after the other are the reference's."""
    if type(peer).generation is Peer.generation:
        raise NotTested("it has no generation()")
    for way in peer.ways("float32")[:1]:
        found, expected = list(peer.generation(tiny(), way, "float32", 1).run(TOKENS)), likeliest()
        if found != expected:
            yield f"{way}: it writes {found}; expected {expected}, from token 0 again where the block is full"


def likeliest() -> list[int]:
    """What `tiny` writes."""
    session, written, last = Session(tiny()), list[int](), 0
    for _ in range(TOKENS):
        if not session.room():
            session.reset()
            last = 0
        (logits,) = session.read([[last]])
        last = logits.index(max(logits))
        written.append(last)
    return written


RULES = (says_its_ways, trains_the_same, copies_the_weights, loads_weights, writes_the_same)
