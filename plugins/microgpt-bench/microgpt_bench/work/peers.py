"""The peer that a candidate names, found among the packs that are installed."""

from microgpt_bench.candidate import Candidate
from microgpt_core.components.peer import Peer
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline import builtin
from microgpt_core.plugins.loader import load


def find_peer(name: str) -> Peer:
    """A peer by its name. Raises UnknownNameError, and ConfigurationError where it can't be run here."""
    peer: Peer = load(builtin).get("peers", name)()
    if reason := peer.unavailable():
        raise ConfigurationError(f"{name}: {reason}")
    return peer


def ways_of(name: str, precision: str, threads: int) -> list[Candidate]:
    """Every way to run a peer in a precision."""
    return [Candidate(name, precision, threads, peer=True, way=way) for way in find_peer(name).ways(precision)]
