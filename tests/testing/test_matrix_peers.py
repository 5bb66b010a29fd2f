"""Bugs of peers x checks: each is found by its check, and each check has its bug. The control is the hooks' example."""

from dataclasses import replace
from pathlib import Path

import pytest

from microgpt_core import testing
from microgpt_core.components import Peer, flat, write
from microgpt_core.engine.tensor import tensor
from microgpt_core.plugins.one_file import read_file
from microgpt_core.testing.peers import likeliest, peer_checks
from microgpt_core.training.update import Update

EXAMPLE = read_file(Path(__file__).parents[2] / "scripts" / "hook_examples" / "peers.py").components["peers"]["eager"]


class Writing:
    """Tokens that were known before; what is measured is none of the kit's business."""

    def __init__(self, tokens):
        self.tokens = tokens

    def run(self, n):
        return self.tokens[:n]


class Right(EXAMPLE):
    """The control."""

    def generation(self, model, way, precision, threads):
        return Writing(likeliest())


class Spelled(Right):
    """No comma: a text, not a tuple."""

    def ways(self, precision):
        return "tape"


class Wayless(Right):
    def ways(self, precision):
        return ()


class Unmasked(Right):
    """Attention that takes a row for one document."""

    def training(self, model, batches, *given):
        found = super().training(model, batches, *given)
        for block in found.model.block:
            block.attention.forward = one_document(block.attention.forward)
        return found


def one_document(forward):
    return lambda x, positions, cache: forward(x, tensor([list(range(x.shape[1]))] * x.shape[0], "int32"), cache)


class Diluted(Right):
    """The mean over all positions, also those without a target."""

    def training(self, model, batches, *given):
        found = super().training(model, batches, *given)
        found.loss.window_inputs = lambda window: [found.loss.inputs(b, 1.0 / len(b.tokens)) for b in window]
        return found


class Undecayed(Right):
    def training(self, model, batches, optimizer, *given):
        return super().training(model, batches, replace(optimizer, weight_decay=0.0), *given)


class Stepping(Right):
    """To know the gradients it makes a step."""

    def training(self, *given):
        found = super().training(*given)
        gradients = found.gradients
        found.gradients = lambda: (gradients(), found.run(1))[0]
        return found


class Hurried(Right):
    """Any number of steps is one."""

    def training(self, *given):
        found = super().training(*given)
        run = found.run
        found.run = lambda n: run(1)
        return found


class Doubling(Right):
    """One gradient, twice as large."""

    def training(self, *given):
        found = super().training(*given)
        gradients = found.gradients

        def doubled():
            loss, by_name = gradients()
            write(by_name["wpe.weight"], [2.0 * g for g in flat(by_name["wpe.weight"])])
            return loss, by_name

        found.gradients = doubled
        return found


class Borrowing(Right):
    """It is given a model, and trains that."""

    def training(self, model, *given):
        found = super().training(model, *given)
        found.model = found.loss.model = found.update.model = model
        found.update.rules = Update(model, found.update.optimizer).rules
        return found


class Deaf(Right):
    """It has its weights from the beginning, and stays with them."""

    def training(self, *given):
        found = super().training(*given)
        found.load = lambda model: None
        return found


class Repeating(Right):
    """It goes on with what it has of the block before."""

    def generation(self, *given):
        first = likeliest()[:8]
        return Writing([*first, *first[::-1]])


class Short(Right):
    def generation(self, *given):
        return Writing(likeliest()[:-1])


PEERS = [
    (Spelled, "says_its_ways", "ways('float32') returns 'tape'; expected names, such as ('eager', 'compiled'), or ()"),
    (Wayless, "says_its_ways", "it has no way to run in float32 or bfloat16"),
    (Unmasked, "trains_the_same", "tape in float32, packed documents: "),
    (Diluted, "trains_the_same", "tape in float32, packed documents: "),
    (Undecayed, "trains_the_same", "what is the loss after some steps is off by "),
    (Stepping, "trains_the_same", "what is the loss after some steps is off by "),
    (Hurried, "trains_the_same", "what is the loss after some steps is off by "),
    (Doubling, "trains_the_same", "the gradient of wpe.weight is off by 1.0e+00 of its size; allowed: 0.0001"),
    (Borrowing, "copies_the_weights", "it trains the weights of the model that it is given, such as "),
    (Deaf, "loads_weights", "tape: after two steps and load(), the gradient of "),
    (Repeating, "writes_the_same", "tape: it writes ["),
    (Short, "writes_the_same", "from token 0 again where the block is full"),
]


@pytest.mark.parametrize(("broken", "check", "said"), PEERS, ids=[bug.__name__ for bug, _, _ in PEERS])
def test_a_peer_s_bug_is_found(failures, broken, check, said) -> None:
    assert said in failures(peer_checks(broken()))[check][0]


def test_every_check_of_peers_has_its_bug_and_lets_what_is_right_pass(failures) -> None:
    checks = peer_checks(Right())
    assert {check for _, check, _ in PEERS} == {check.name for check in checks}
    assert failures(checks) == {}


class Absent(Peer):
    name = "absent"

    def unavailable(self):
        return "there is no such machine"


def test_one_that_is_not_here_is_skipped() -> None:
    assert [r.state for r in testing.check_peer(Absent()).results] == ["skipped"] * 5


class Tokenizing(Peer):
    name = "tokenizing"

    def tokenizer(self, ours):
        return ours


def test_one_that_only_tokenizes_is_skipped_and_one_that_does_nothing_is_not() -> None:
    results = testing.check_peer(Tokenizing()).results
    assert [r.state for r in results] == ["skipped"] * 5
    assert "it trains nothing" in str(results[0])
    assert testing.check_peer(type("Idle", (Peer,), {"name": "idle"})()).results[0].state == "failed"


def test_one_that_writes_nothing_is_skipped_there_alone() -> None:
    states = {r.check: r.state for r in testing.check_peer(EXAMPLE()).results}
    assert states.pop("writes_the_same") == "skipped"
    assert set(states.values()) == {"passed"}
