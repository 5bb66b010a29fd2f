"""One call of an op as an expression of an exported program, which gets the op's formula.

The core's ops have theirs in `rows`, and a `Unary` brings its f. Whatever else a pack has comes as its author wrote it,
with a few lines around that make buffers of lists.
"""

import re
from inspect import signature
from typing import Any

from microgpt_core.components import Op, Unary
from microgpt_core.engine.value import Call, Value
from microgpt_core.errors import ConfigurationError
from microgpt_core.formats.program import rows
from microgpt_core.formats.program.sources import Sources
from microgpt_core.ops import OPS

IN_ROWS = ("add", "linear", "rmsnorm", "layernorm", "swiglu", "sinusoidal", "rope", "attention")


class OpCode:
    """Expressions for calls; `sources` gets what they call."""

    def __init__(self, sources: Sources, block_size: int) -> None:
        self.sources, self.block_size = sources, block_size
        self.wrappers: dict[tuple[Any, ...], str] = {}

    def expression(self, call: Call, inputs: dict[str, str]) -> str:
        """The call, on inputs that are written like this ("" for one that isn't there)."""
        op, known = call.op, type(call.op) is type(OPS.get(call.op.name))
        try:
            if known and op.name == "embedding":
                return f"{inputs['weight']}[{inputs['ids']}]"
            if known and op.name in IN_ROWS:
                return self.in_rows(op, inputs, dict(call.attributes))
            if isinstance(op, Unary) and type(op).forward is Unary.forward:
                return self.unary(op, inputs["x"], dict(call.attributes))
            return self.on_buffers(call, inputs)
        except ConfigurationError as error:
            raise ConfigurationError(f"op {op.name!r} can't be exported to a program: {error}") from error

    def in_rows(self, op: Op, inputs: dict[str, str], attributes: dict[str, Any]) -> str:
        """A formula for one token. What it has no parameter for is the same for every token of a text."""
        name = op.name
        if name == "attention" and self.block_size > rows.TILE:
            name = "attention_in_tiles"
        elif name == "attention" and (window := attributes.pop("window", None)):
            inputs = {**inputs, **{of: f"{inputs[of]}[-{window}:]" for of in ("k", "v")}}
        parameters = signature(getattr(rows, name)).parameters
        n_inputs = len([p for p in parameters if p not in op.signature.attributes])
        given = [inputs[n] or "None" for n in op.signature.inputs[:n_inputs]]
        while given[-1] == "None":
            given.pop()
        chosen = {n: v for n, v in attributes.items() if n in parameters and v != parameters[n].default}
        return f"{self.sources.bring(rows.__name__, name)}({listed(given, chosen)})"

    def unary(self, op: Op, x: str, attributes: dict[str, Any]) -> str:
        f = self.sources.bring_method(type(op), "f", identifier(op.name))
        if attributes:
            f = f"lambda v: {f}({listed(['v'], attributes)})"
        return f"{self.sources.bring(rows.__name__, 'each')}({f}, {x})"

    def on_buffers(self, call: Call, inputs: dict[str, str]) -> str:
        """The op's own `forward`, and a function around it that makes its buffers. One for each shape."""
        op, values = call.op, call.arguments
        if op.mutates or len(op.signature.outputs) != 1:
            raise ConfigurationError("it changes its inputs in place, or makes more than one thing")
        present = [n for n in op.signature.inputs if inputs[n] and n != "start"]
        key = (type(op), *((n, v and v.shape) for n, v in values.items()), repr(dict(call.attributes)))
        if key not in self.wrappers:
            growing = {n for n in present if inputs[n] in ("keys", "values")}  # a row for each token so far
            forward = self.sources.bring_method(type(op), "forward", f"{identifier(op.name)}_forward")
            self.wrappers[key] = name = self.sources.free(identifier(op.name))
            made, out = values[op.signature.outputs[0]], op.signature.outputs[0]
            places = [self.place(op, n, values[n], n in growing) for n in op.signature.forward]
            lines = [
                f"def {name}({', '.join(present)}):",
                '"""The op as its author wrote it, on buffers."""',
                f"{out} = {self.sources.bring(rows.__name__, 'buffer')}({made and made.shape})",
                f"{forward}({listed(places, dict(call.attributes))})",
                f"return {out}.tolist(){'[0]' * (len(made.shape) - 1 if made else 0)}",
            ]
            self.sources.definitions[name] = "\n    ".join(lines)
        return f"{self.wrappers[key]}({', '.join(inputs[n] for n in present)})"

    def place(self, op: Op, name: str, value: Value | None, grows: bool) -> str:
        """One argument of `forward`."""
        if value is None or name == op.signature.outputs[0]:
            return name if value else "None"
        shape = f"(1, len({name}), {value.shape[2]})" if grows else str(value.shape)
        content = "[len(k) - 1]" if name == "start" else f"[{name}]" if value.format == "i" else name
        given = [shape, "None" if name in op.signature.saved else content, repr(value.format)]
        return f"{self.sources.bring(rows.__name__, 'buffer')}({', '.join(given[: 3 if value.format == 'i' else 2])})"


def listed(positional: list[str], keywords: dict[str, Any]) -> str:
    return ", ".join([*positional, *(f"{n}={v!r}" for n, v in keywords.items())])


def identifier(name: str) -> str:
    return re.sub(r"\W|^(?=\d)", "_", name)
