"""The format `python`: a trained model as one Python file that writes texts and needs nothing but Python.

Its code isn't a template: the formulas are copied from where microgpt has them, with what they need, and the model is
what the model's own calls are. The rest is shown, not trusted: before the file is written it is run, and its logits
must be the model's, bit for bit.
"""

import re
from array import array
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from microgpt_core.components import Format, Tokenizer
from microgpt_core.components.buffer import FORMATS, Buffer, flat
from microgpt_core.errors import ConfigurationError
from microgpt_core.formats.json_file import check_finite
from microgpt_core.formats.program import rows, writing
from microgpt_core.formats.program.model_code import ModelCode
from microgpt_core.formats.program.op_code import OpCode
from microgpt_core.formats.program.sources import Sources
from microgpt_core.formats.program.tokenizer_code import tokenizer_code
from microgpt_core.inference.session import Session
from microgpt_core.models.model import Model
from microgpt_core.storage.atomic import atomic_write

GIVEN = frozenset(
    {"BLOCK_SIZE", "VOCAB_SIZE", "N_CACHES", "BOS", "FORMAT", "Cache", "W", "model", "encode", "decode"}
    | {"token", "position", "cache", "keys", "values", "i"}
)
TRIED = 5  # tokens that a program is tried on before it is written: enough for caches to matter


@dataclass
class PythonFile(Format):
    """One Python file that writes texts: formulas, model, sampling and weights, with no other import than Python's."""

    name: ClassVar[str] = "python"
    suffix: ClassVar[str] = ".py"

    def write(self, model: Model, tokenizer: Tokenizer, path: Path) -> None:
        check_finite(model)
        program = source(model, tokenizer, path.stem)
        check(program, model)
        atomic_write(path, program.encode())


def source(model: Model, tokenizer: Tokenizer, name: str) -> str:
    """The whole program."""
    sources = Sources(GIVEN)
    code = ModelCode(model, OpCode(sources, model.block_size))
    body, formulas = code.text(), sources.new_definitions()
    text_code = tokenizer_code(tokenizer, sources)
    spelling = sources.new_definitions()
    sources.bring(writing.__name__, "main")
    sampling = sources.new_definitions()
    sources.bring(rows.__name__, "numbers")
    constants = {
        "BLOCK_SIZE": (model.block_size, "tokens that the model sees at most"),
        "VOCAB_SIZE": (model.vocab_size, "tokens that it knows"),
        "BOS": (tokenizer.bos, "the token before and after a text"),
        "N_CACHES": (code.n_caches, "layers that remember keys and values"),
        "FORMAT": (f'"{FORMATS[model.precision]}"', f"of an array of {model.precision}"),
    }
    tensors = ",\n".join(f'    "{name}": {tensor_code(x)}' for name, x in model.state().items())
    top = [
        f'"""{header(model, name)}"""',
        "\n".join(sorted(sources.imports, key=import_order)),
        "\n".join(f"{name} = {value}  # {about}" for name, (value, about) in constants.items()),
    ]
    parts = [
        "\n\n".join(top),
        title("The formulas"),
        *formulas,
        title("The model"),
        body,
        title("Writing"),
        *spelling,
        text_code,
        *sampling,
        title("What it learned"),
        *sources.new_definitions(),
        f"W = {{\n{tensors},\n}}",
        'if __name__ == "__main__":\n    main()',
    ]
    return "\n\n\n".join(parts) + "\n"


def header(model: Model, name: str) -> str:
    name = re.sub(r"[^\w .-]", "_", name)  # it stands between quotes
    file = f'"{name}.py"' if " " in name else f"{name}.py"
    fields = {n: v for n, v in model.config().items() if n in ("n_layer", "n_head", "n_embd")}
    sizes = "".join(f", {n} {v}" for n, v in fields.items())
    return f"""{name}: a language model in one file. It needs Python 3.11 or later, and nothing else.

    python {file} --seed 7           ten texts
    python {file} -p TEXT -n 3       three that begin with TEXT
    python {file} --help             all that it can be asked

microgpt trained it: {model.n_parameters:,} numbers{sizes}. They stand at the end; above them is all that
is computed with them. On the same version of Python it writes what `microgpt generate` writes, to the bit.
"""


def title(text: str) -> str:
    return f"# ---- {text} ".ljust(100, "-")


def import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def tensor_code(x: Buffer) -> str:
    """A parameter, in base64."""
    if x.ndim > 2:
        raise ConfigurationError(f"a parameter of shape {x.shape} can't be exported to a program; allowed: 1 or 2 axes")
    text = b64encode(bytes(flat(x).cast("B"))).decode()
    lines = [text[i : i + 112] for i in range(0, len(text), 112)]
    return 'numbers({}, """\n{}\n""")'.format(x.shape, "\n".join(lines))


def check(program: str, model: Model) -> None:
    """Run the program. Raises ConfigurationError unless it computes the model's logits."""
    session, tokens = Session(model), [7 * i % model.vocab_size for i in range(min(TRIED, model.block_size))]
    expected = [session.read([[token]])[0] for token in tokens]
    try:
        space: dict[str, Any] = {"__name__": "exported"}
        exec(compile(program, "exported program", "exec"), space)
        cache: list[Any] = [([], []) for _ in range(space["N_CACHES"])]
        found = [space["model"](token, position, cache) for position, token in enumerate(tokens)]
    except Exception as error:
        raise ConfigurationError(f"the program doesn't run, so it isn't written: {error!r}") from error
    if wrong := [n for n, (a, b) in enumerate(zip(found, expected), 1) if array("d", a) != array("d", b)]:
        raise ConfigurationError(
            f"the program doesn't compute the model's logits after {wrong[0]} tokens, so it isn't written: an op that "
            "mixes tokens has to take `start`, as `attention` does, and what an op depends on has to be in its class"
        )
