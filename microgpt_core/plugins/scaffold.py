"""A new pack, from the template beside this file: it installs, is listed, and passes its own tests as it is.

Copier fills the template in. It is a program of its own, run as one, and none of the core's dependencies.
"""

import re
import subprocess
import sys
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path

from microgpt_core.components import Op
from microgpt_core.errors import ConfigurationError, MicrogptError
from microgpt_core.plugins.hooks import check_component
from microgpt_core.plugins.kinds import KINDS
from microgpt_core.plugins.pack import CORE, CORE_DISTRIBUTION
from microgpt_core.plugins.registry import Registry

KINDS_OF_PACKS = ("op", "kernel", "tokenizer", "dataset", "optimizer", "analyzer")


def new_pack(kind: str, name: str, folder: Path, registry: Registry) -> Path:
    """Make a pack with one component of a kind, in a folder of its own inside `folder`; returns that.

    Raises ConfigurationError for a name that can't be or is taken, MicrogptError where Copier is missing or fails.
    """
    check_component(KINDS[f"{kind}s"], name, "module:Class")
    if name in {found.rpartition("/")[2] if kind != "kernel" else found for found in registry.names(kind)}:
        raise ConfigurationError(f"{kind} {name!r} exists already: microgpt show {kind} {name}")
    answers = {"kind": kind, "name": name} | (kernel_answers(name, registry) if kind == "kernel" else {})
    target = folder / f"microgpt-{re.sub(r'[/_.]', '-', name)}"
    if target.exists():
        raise ConfigurationError(f"{target} exists already; name another folder: --output DIR")
    if not find_spec("copier"):
        raise MicrogptError("new packs are made with Copier, which isn't installed: microgpt plugins install copier")
    data = [word for key, value in answers.items() for word in ("--data", f"{key}={value}")]
    with as_file(files(__package__).joinpath("template")) as template:
        command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", *data, str(template), str(target)]
        if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2).returncode:
            raise MicrogptError(f"Copier didn't make {target}; it says above why")
    return target


def kernel_answers(name: str, registry: Registry) -> dict[str, str]:
    """What the template has to know of a kernel's op and backend, both of which must be there."""
    backend, op_name = name.split("/")
    packs = registry.find("backends", backend)[0], registry.find("ops", op_name)[0]
    if packs[0].name == CORE:
        raise ConfigurationError(f"kernel {name!r}: the core's backend runs the ops themselves; name another one")
    op = registry.get("ops", op_name)
    cls = type(op) if isinstance(op, Op) else op
    needed = dict.fromkeys(pack.distribution for pack in packs if pack.distribution != CORE_DISTRIBUTION)
    answers = {"op": f"{cls.__module__}:{cls.__qualname__}", "requires": ",".join(needed)}
    signature = cls.signature
    for method, names, attributes in (
        ("forward", signature.forward, signature.forward_attributes),
        ("backward", signature.backward, signature.backward_attributes),
    ):
        answers[method] = ", ".join([*names, *(["*", *attributes] if attributes else [])])
        answers[f"{method}_views"] = ", ".join(names)
        answers[f"{method}_more"] = "".join(f", {a}={a}" for a in attributes)
    return answers
