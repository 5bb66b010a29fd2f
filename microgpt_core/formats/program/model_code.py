"""The model of an exported program as code: its calls for one token, a line each, and its blocks as a loop.

The code is made from what the model computes when it is captured, not from its fields, so that none is forgotten.
"""

import re
from itertools import groupby
from keyword import iskeyword

from microgpt_core.engine.capture import record
from microgpt_core.engine.context import no_grad
from microgpt_core.engine.tensor import tensor
from microgpt_core.engine.value import Call, Value
from microgpt_core.errors import ConfigurationError
from microgpt_core.formats.program.op_code import OpCode
from microgpt_core.models.model import Model
from microgpt_core.ops import OPS

BLOCK = re.compile(r"((\w+)\.(\d+))(?:\.(.+))?")  # a scope in one of a list of parts: `block.3.attention.q`
FITS = 90
ABOUT = "The scores (logits) of what may come after this token; `cache` holds the keys and values of those before."


class ModelCode:
    """The function `model` of a program, and how many caches it needs. `ops` gets what it calls."""

    def __init__(self, model: Model, ops: OpCode) -> None:
        start, ids = tensor([0], "int32"), tensor([[0]], "int32")
        caches = model.caches(start, rows=model.block_size)
        with no_grad():
            self.trace, _ = record(lambda t, p: model(t, p, caches or None), (ids, ids))
        self.ops, self.n_caches = ops, len(caches)
        self.parameters = {p.value for p in model.parameters()}
        self.caches = {t.value: (i, at) for i, c in enumerate(caches) for at, t in enumerate((c.keys, c.values))}
        self.readers: dict[Value, list[int]] = {}  # which calls read a value
        for at, call in enumerate(self.trace.calls):
            for value in call.reads.values():
                self.readers.setdefault(value, []).append(at)
        self.names: dict[Value, str] = dict(zip((*self.trace.inputs, start.value), ("token", "position", "start")))

    def text(self) -> str:
        """The function's source."""
        lines = [(block_of(call), self.line(at, call)) for at, call in enumerate(self.trace.calls)]
        blocks = [(block, [line for _, line in part]) for block, part in groupby(lines, lambda line: line[0])]
        body: list[str] = []
        for name, group in groupby(blocks, lambda block: block[0].partition(".")[0]):
            found = list(group)
            body += loop(name, found) if name else found[0][1]
        if not body[-1].startswith("return "):
            body.append(f"return {self.names[self.trace.outputs[0]]}")
        return "\n    ".join(["def model(token, position, cache):", f'"""{ABOUT}"""', *body])

    def line(self, at: int, call: Call) -> str:
        """One call of an op."""
        inputs = {name: self.read(call, call.arguments[name]) for name in call.op.signature.inputs}
        if call.op is OPS["cache_write"]:
            return f"{inputs['cache']}.append({inputs['x']})"
        text, result = self.ops.expression(call, inputs), call.arguments[call.op.signature.outputs[0]]
        if result is None:
            raise ConfigurationError(f"{call} makes nothing, so it can't be a line of a program")
        if at == len(self.trace.calls) - 1 and result is self.trace.outputs[0]:
            return f"return {text}"
        if len(text) > FITS:
            text = text.replace(", W[", f",\n{' ' * 16}W[")
        self.names[result] = self.free(self.wanted(at, call, result), at)
        return f"{self.names[result]} = {text}"

    def read(self, call: Call, value: Value | None) -> str:
        """How a call's input is written; "" where it isn't there."""
        block = block_of(call)
        if value is None:
            return ""
        if value in self.caches:
            layer, at = self.caches[value]
            return ("keys", "values")[at] if block.endswith(f".{layer}") else f"cache[{layer}][{at}]"
        if value in self.parameters:
            inside = value.name.removeprefix(f"{block}.")
            name, _, _ = block.partition(".")
            return f'W[f"{name}.{{i}}.{inside}"]' if block and inside != value.name else f'W["{value.name}"]'
        if value not in self.names:
            raise ConfigurationError(f"{call} reads a tensor that is no parameter of the model")
        return self.names[value]

    def wanted(self, at: int, call: Call, result: Value) -> str:
        """What a result is best called: x where it goes from part to part, else as the part that made it."""
        block, inputs = block_of(call), call.op.signature.inputs
        inside = call.scope[len(block) :].lstrip(".")
        leaves = any(block_of(self.trace.calls[i]) != block for i in self.readers.get(result, []))
        if leaves or not inside:
            return "x"
        if inputs[:3] == ("q", "k", "v"):
            return "mixed"
        first = call.arguments[inputs[0]]
        has_parts = any(c.scope.startswith(f"{call.scope}.") for c in self.trace.calls)
        if has_parts and first in self.names and self.readers[first][-1] == at:  # `q = rope(q, position)`
            return self.names[first]
        name = re.sub(r"\W|^(?=\d)", "_", inside.rpartition(".")[2])
        return f"{name}_" if iskeyword(name) else name

    def free(self, name: str, at: int) -> str:
        """The name, or a longer one while it belongs to a function, or to a value that is still needed."""
        needed = {n for v, n in self.names.items() if self.readers.get(v, [-1])[-1] > at}
        while name in needed | self.ops.sources.taken:
            name += "_"
        return name


def block_of(call: Call) -> str:
    """`block.3`, where the call is inside of it."""
    found = BLOCK.fullmatch(call.scope)
    return found[1] if found else ""


def loop(name: str, blocks: list[tuple[str, list[str]]]) -> list[str]:
    """Blocks that differ in nothing but their number as a loop; others one after the other."""
    bodies = [cached(lines) for _, lines in blocks]
    numbered = [block for block, _ in blocks] == [f"{name}.{i}" for i in range(len(blocks))]
    if numbered and all(body == bodies[0] for body in bodies):
        return [f"for i in range({len(blocks)}):", *(f"    {line}" for line in bodies[0])]
    numbers = [block.rpartition(".")[2] for block, _ in blocks]
    return [line for number, body in zip(numbers, bodies) for line in (f"i = {number}", *body)]


def cached(lines: list[str]) -> list[str]:
    """The lines of a block, with its cache at hand where it uses one."""
    return ["keys, values = cache[i]", *lines] if any(line.startswith("keys.append(") for line in lines) else lines
