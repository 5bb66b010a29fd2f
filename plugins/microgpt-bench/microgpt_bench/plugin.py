"""What this pack brings to the hooks: PyTorch as a peer. Its commands are entry points of their own."""

from microgpt_core.hookspecs import hookimpl


@hookimpl
def microgpt_peers() -> dict[str, str]:
    return {"torch": "microgpt_bench.peers.torch:Torch"}
