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


def by_threads(threads: int) -> str:
    """What the table adds to the name of who tokenizes, where more than one thread does."""
    return f"{threads}-threads" if threads > 1 else ""


def tokenizer_of(name: str, threads: int) -> list[Candidate]:
    """A peer that tokenizes: there is one way to run it. Raises ConfigurationError for one that doesn't."""
    if type(find_peer(name)).tokenizer is Peer.tokenizer:
        raise ConfigurationError(f"{name}: it has no tokenizer; race it by: microgpt bench step --against {name}")
    return [Candidate(name, threads=threads, peer=True, way=by_threads(threads))]


def ways_of(name: str, precision: str, threads: int) -> list[Candidate]:
    """Every way to run a peer in a precision. Raises ConfigurationError for one that only tokenizes."""
    peer = find_peer(name)
    if type(peer).training is Peer.training:
        raise ConfigurationError(f"{name}: it trains nothing; race it by: microgpt bench tokenize --against {name}")
    return [Candidate(name, precision, threads, peer=True, way=way) for way in peer.ways(precision)]
