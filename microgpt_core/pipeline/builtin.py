"""The core's own plugin: what microgpt brings without any pack, through the same hooks."""

from microgpt_core.hookspecs import Components, hookimpl


@hookimpl
def microgpt_ops() -> Components:
    from microgpt_core.ops import OPS

    return OPS


@hookimpl
def microgpt_backends() -> Components:
    return {"reference": "microgpt_core.engine.backends:Reference"}


@hookimpl
def microgpt_tokenizers() -> Components:
    return {"char": "microgpt_core.text.char:Char"}


@hookimpl
def microgpt_datasets() -> Components:
    return {
        "names": "microgpt_core.text.names:Names",
        "text": "microgpt_core.text.files:TextFiles",
        "ssa-names": "microgpt_core.text.cached:SsaNames",
        "tinyshakespeare": "microgpt_core.text.cached:TinyShakespeare",
    }


@hookimpl
def microgpt_optimizers() -> Components:
    return {
        "sgd": "microgpt_core.training.optimizers:SGD",
        "adam": "microgpt_core.training.optimizers:Adam",
        "adamw": "microgpt_core.training.optimizers:AdamW",
    }


@hookimpl
def microgpt_schedules() -> Components:
    return {
        "constant": "microgpt_core.training.schedules:Constant",
        "linear": "microgpt_core.training.schedules:Linear",
        "cosine": "microgpt_core.training.schedules:Cosine",
    }


@hookimpl
def microgpt_models() -> Components:
    return {"gpt": "microgpt_core.models.gpt:GPT"}


@hookimpl
def microgpt_formats() -> Components:
    return {
        "safetensors": "microgpt_core.formats.model_folder:ModelFolder",
        "json": "microgpt_core.formats.json_file:JSONFile",
        "python": "microgpt_core.formats.program.python_file:PythonFile",
    }


@hookimpl
def microgpt_callbacks() -> Components:
    return {"stop-at": "microgpt_core.training.callbacks:StopAt"}


@hookimpl
def microgpt_stages() -> Components:
    return {
        "train": "microgpt_core.pipeline.runs.stages:train",
        "evaluate": "microgpt_core.pipeline.runs.stages:evaluate",
        "generate": "microgpt_core.pipeline.runs.stages:generate",
        "export": "microgpt_core.pipeline.runs.stages:export",
    }
