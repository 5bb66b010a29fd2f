"""What this pack brings."""

from microgpt_core.hookspecs import hookimpl


@hookimpl
def microgpt_tokenizers() -> dict[str, str]:
    return {"reverse": "microgpt_reverse.reverse:Reverse"}


@hookimpl
def microgpt_analyzers() -> dict[str, str]:
    return {"prediction-entropy": "microgpt_reverse.entropy:PredictionEntropy"}
