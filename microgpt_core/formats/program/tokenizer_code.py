"""A tokenizer as code of an exported program: a table of characters, or the class that its author wrote."""

from microgpt_core.components import Tokenizer
from microgpt_core.errors import ConfigurationError
from microgpt_core.formats.program.sources import Sources
from microgpt_core.text.char import Char

CHAR = '''TOKENS = [{bos}*{characters!r}]


def encode(text):
    """The tokens of a text. Each is a character."""
    {normalize}if unknown := [c for c in text if c not in TOKENS]:
        raise ValueError(f"unknown character {{unknown[0]!r}}; this model knows {{''.join(TOKENS)!r}}")
    return [TOKENS.index(c) for c in text]


def decode(tokens):
    return "".join(TOKENS[token] for token in tokens)'''

OTHER = '''TOKENIZER = {cls}.from_dict({state!r})


def encode(text):
    """The tokens of a text."""
    return TOKENIZER.encode(text)


def decode(tokens):
    return b"".join(TOKENIZER.decode_bytes(token) for token in tokens).decode("utf-8", "replace")'''


def tokenizer_code(tokenizer: Tokenizer, sources: Sources) -> str:
    """`encode` and `decode`. Raises ConfigurationError where a tokenizer needs more than Python."""
    if type(tokenizer) is Char:
        normalize = ""
        if tokenizer.normalize:
            sources.imports.add("import unicodedata")
            normalize = f"text = unicodedata.normalize({tokenizer.normalize!r}, text)\n    "
        characters = tokenizer.to_dict()["characters"]
        return CHAR.format(bos='"", ' * tokenizer.add_bos, characters=characters, normalize=normalize)
    cls = type(tokenizer)
    try:
        name = sources.bring(cls.__module__, cls.__qualname__)
    except ConfigurationError as error:
        raise ConfigurationError(f"tokenizer {tokenizer.name!r} can't be exported to a program: {error}") from error
    return OTHER.format(cls=name, state=tokenizer.to_dict())
