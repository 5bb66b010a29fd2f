"""The dataset `synthetic`: tasks whose right answer is known, to see what a model can learn and what it can't."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from string import ascii_lowercase
from typing import ClassVar, Literal, get_args

from microgpt_core.errors import UnknownNameError, require
from microgpt_datasets.splitting import ReadInOrder

Task = Literal["copy", "reverse", "sort", "addition", "induction"]


@dataclass
class Synthetic(ReadInOrder):
    """Documents such as `dbca>abcd`: a question, a sign, the answer. They are drawn by a seed of their own.

    copy: dbca>dbca. reverse: dbca>acbd. sort: dbca>abcd. addition: 12+34=46, of numbers with up to `length` digits.
    induction: a random text twice over, dbcadbca, in which each letter of the second half can be foretold by looking
    where it stood in the first; letters don't come twice in a half.

    Fields:
        task: what is to be learned
        n: documents; those that come twice are left out, so there may be fewer
        length: symbols of a question at most, digits of a summand at most
        symbols: different letters, from a on
        seed: of what is drawn
    """

    name: ClassVar[str] = "synthetic"
    examples: ClassVar[list[dict[str, str]]] = [{"task": task} for task in get_args(Task)]

    task: Task = "copy"
    n: int = 10_000
    length: int = 6
    symbols: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task not in get_args(Task):
            raise UnknownNameError("task", self.task, get_args(Task))
        require(self.n >= 1, "n", self.n, "1 or more")
        require(self.length >= 1, "length", self.length, "1 or more")
        require(2 <= self.symbols <= 26, "symbols", self.symbols, "2 to 26, letters of the alphabet")
        enough = self.task != "induction" or self.length <= self.symbols
        require(enough, "length", self.length, f"up to symbols ({self.symbols}) where none may come twice")

    def all_documents(self) -> Iterator[str]:
        rng, seen = Random(self.seed), set[str]()
        draw = {"addition": self.addition, "induction": self.induction}.get(self.task, self.letters)
        for _ in range(self.n):
            if (text := draw(rng)) not in seen:
                seen.add(text)
                yield text

    def letters(self, rng: Random) -> str:
        answers: dict[str, Callable[[str], str]] = {
            "copy": str,
            "reverse": lambda text: text[::-1],
            "sort": lambda text: "".join(sorted(text)),
        }
        question = "".join(rng.choices(ascii_lowercase[: self.symbols], k=rng.randint(1, self.length)))
        return f"{question}>{answers[self.task](question)}"

    def addition(self, rng: Random) -> str:
        a, b = (rng.randrange(10 ** rng.randint(1, self.length)) for _ in range(2))
        return f"{a}+{b}={a + b}"

    def induction(self, rng: Random) -> str:
        half = "".join(rng.sample(ascii_lowercase[: self.symbols], self.length))
        return half + half
