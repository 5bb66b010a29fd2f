"""What this pack brings to the hooks: PyTorch and two tokenizers as peers. Its commands are entry points."""

from microgpt_core.hookspecs import hookimpl


@hookimpl
def microgpt_peers() -> dict[str, str]:
    return {
        "torch": "microgpt_bench.peers.torch:Torch",
        "tokenizers": "microgpt_bench.peers.tokenizers:Tokenizers",
        "tiktoken": "microgpt_bench.peers.tiktoken:Tiktoken",
    }
