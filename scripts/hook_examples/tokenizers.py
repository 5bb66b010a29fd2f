"""A byte of a text's UTF-8 is a token."""

from dataclasses import dataclass

from microgpt_core.components import Tokenizer
from microgpt_core.errors import CheckpointError
from microgpt_core.hookspecs import hookimpl


@dataclass
class Octets(Tokenizer):
    """256 bytes, and 256 itself, which stands between documents."""

    name = "octets"
    vocab_size = 257
    bos = 256

    def train(self, texts):
        return self  # there is nothing to learn

    def encode(self, text):
        return list(text.encode("utf-8"))

    def decode(self, ids):
        return b"".join(map(self.decode_bytes, ids)).decode("utf-8", "replace")

    def decode_bytes(self, token):
        return b"" if token == self.bos else bytes([token])

    def to_dict(self):
        return {"use": self.name}

    @classmethod
    def from_dict(cls, state):
        if state != {"use": cls.name}:
            raise CheckpointError(f"found {state}, allowed: {{'use': {cls.name!r}}}")
        return cls()


@hookimpl
def microgpt_tokenizers():
    return {"octets": Octets}
