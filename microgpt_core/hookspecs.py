"""The whole extension surface: one hook per kind of component.

A pack is a module with some of these functions, marked with `@hookimpl`, and an entry point that names it:

    [project.entry-points."microgpt.plugins.v1"]
    mish = "microgpt_mish.plugin"

A hook returns a mapping `name -> class or "module:Class"`. The string form is imported when the component is
first used: prefer it. An empty mapping, or None, brings nothing. Names are lower case, with digits, `-`, `_`
and `.`; a name that the core has already is refused, one that another pack has must be qualified (`mish/name`).
A hook is called once, takes no arguments and must not do anything else: no files, no downloads.
"""

from collections.abc import Mapping
from typing import Any

import pluggy

PROJECT = "microgpt"
API = 1  # the version of everything in this file
FAMILY = "microgpt.plugins"
GROUP = f"{FAMILY}.v{API}"  # of entry points

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Components = Mapping[str, Any]  # name -> class, instance, function, or "module:Name"


@hookspec
def microgpt_ops() -> Components | None:
    """What can be computed: subclasses (or instances) of `Op`, by the name that they have themselves.

    An op whose signature fits a slot can be named there: `model: {activation: mish}`. An optimizer names the op that
    moves its parameters, and from Python an op is called: `Mish()(x)`.

    Example: `return {"mish": "microgpt_mish.mish:Mish"}`.
    """


@hookspec
def microgpt_kernels() -> Components | None:
    """One op on one backend: subclasses of `Kernel`, under the key `backend/op`. Both may be another pack's.

    A run asks them where its `backend:` or `kernels:` says so.

    Example: `return {"numpy/mish": "microgpt_mish.numpy_kernel:MishKernel"}`.
    """


@hookspec
def microgpt_backends() -> Components | None:
    """Who runs ops: subclasses of `Backend`, for `backend: numpy`. Its kernels come by `microgpt_kernels`.

    What a backend has no kernel for, the next in the list runs, and at last the reference.

    Example: `return {"numpy": "microgpt_numpy.backend:Numpy"}`.
    """


@hookspec
def microgpt_tokenizers() -> Components | None:
    """Text to numbers and back: subclasses of `Tokenizer`, for `tokenizer: bpe`.

    A model folder names its tokenizer, so whoever loads the model needs the pack too.

    Example: `return {"bpe": "microgpt_tokenizers.bpe:BPE"}`.
    """


@hookspec
def microgpt_datasets() -> Components | None:
    """Where documents come from: subclasses of `Dataset`, for `dataset: {use: chat}`.

    Example: `return {"chat": "microgpt_datasets.chat:Chat"}`.
    """


@hookspec
def microgpt_transforms() -> Components | None:
    """What is done to documents before the tokenizer sees them: subclasses of `Transform`, for `transforms: [lower]`.

    They are applied in the order of the list, to each split on its own; a run says how many documents each has left.

    Example: `return {"shout": "microgpt_shout.shout:Shout"}`.
    """


@hookspec
def microgpt_optimizers() -> Components | None:
    """How parameters move: subclasses of `Optimizer`, for `optimizer: {use: lion, lr: 1e-4}`.

    The ops that an optimizer names come by `microgpt_ops`.

    Example: `return {"lion": "microgpt_optimizers.lion:Lion"}`.
    """


@hookspec
def microgpt_schedules() -> Components | None:
    """How the learning rate moves: subclasses of `Schedule`, for `schedule: {use: wsd, warmup_steps: 50}`.

    Example: `return {"wsd": "microgpt_optimizers.schedules:WSD"}`.
    """


@hookspec
def microgpt_models() -> Components | None:
    """What is trained: subclasses of `microgpt_core.models.model.Model`, for `model: {use: rwkv}`.

    A model folder names its architecture, so whoever loads the model needs the pack too.

    Example: `return {"rwkv": "microgpt_models.rwkv:RWKV"}`.
    """


@hookspec
def microgpt_analyzers() -> Components | None:
    """Who looks at a model while it trains, and never touches: subclasses of `Analyzer`, for `analyzers: [entropy]`.

    One that raises is told once and left out; the training goes on as if it weren't there.

    Example: `return {"attention-entropy": "microgpt_analyzers.entropy:AttentionEntropy"}`.
    """


@hookspec
def microgpt_callbacks() -> Components | None:
    """Who is told of each step, and may ask for a checkpoint or for the end: subclasses of `Callback`.

    For `callbacks: [{use: stop-at, loss: 2.0}]`.

    Example: `return {"telegram": "microgpt_telegram.callback:Telegram"}`.
    """


@hookspec
def microgpt_formats() -> Components | None:
    """How a model is written to a file and read back: subclasses of `Format`, for `microgpt export --format gguf`.

    Example: `return {"gguf": "microgpt_interop.gguf:GGUF"}`.
    """


@hookspec
def microgpt_stages() -> Components | None:
    """What a run does, one after the other: functions of the `Run`, for `stages: [train, report]`.

    `run.model`, `run.tokenizer` and `run.batches` are made when they are first asked for, `run.result` is there after
    training, and what a stage writes belongs in `run.folder`.

    Example: `return {"report": "microgpt_lab.report:report"}`.
    """


@hookspec
def microgpt_passes() -> Components | None:
    """What rewrites a plan's calls before kernels are chosen: subclasses of `Pass`, for `passes: [NAME]`.

    `precision: bfloat16` is the pass of that name. `passes: auto` takes those that the first backend names as its
    `passes`.

    Example: `return {"bfloat16": "microgpt_simd.passes:BFloat16"}`.
    """


@hookspec
def microgpt_peers() -> Components | None:
    """Other programs that train the same models, to be measured beside microgpt: subclasses of `Peer`.

    No run uses them: a benchmark does, and first sees to it that a peer computes the same.

    Example: `return {"torch": "microgpt_bench.peers.torch:Torch"}`.
    """
