"""A format for people: every weight on a line of its own. It can't be read back, so it has no `read`."""

from dataclasses import dataclass
from pathlib import Path

from microgpt_core.components import Format, flat
from microgpt_core.hookspecs import hookimpl


@dataclass
class Lines(Format):
    """The weights as text, a line for each number."""

    name = "lines"
    suffix = ".txt"
    digits: int = 6

    def write(self, model, tokenizer, path: Path) -> None:
        lines = (
            f"{name}[{i}] = {x:.{self.digits}g}\n" for name, w in model.state().items() for i, x in enumerate(flat(w))
        )
        path.write_text("".join(lines), encoding="utf-8")


@hookimpl
def microgpt_formats():
    return {"lines": Lines}
