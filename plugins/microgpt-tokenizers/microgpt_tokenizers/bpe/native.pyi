"""What native.pyx has, for type checkers."""

from collections.abc import Callable, Iterable, Mapping, Sequence

def split(text: str, pattern: str) -> list[str]: ...
def train_merges(
    texts: Iterable[str],
    n_merges: int,
    *,
    pattern: str,
    min_frequency: int = ...,
    progress: Callable[[str, int, int], None] | None = ...,
) -> list[tuple[int, int]]: ...

class Encoder:
    def __init__(
        self, vocabulary: Mapping[bytes, int], merges: Sequence[tuple[bytes, bytes]] | None, pattern: str
    ) -> None: ...
    def encode(self, text: str) -> list[int]: ...
    def encode_batch(self, texts: Sequence[str], threads: int) -> list[list[int]]: ...
