"""Transfer: the weights of a saved model into one that may know other tokens."""

from pathlib import Path

from microgpt_core.components import Tokenizer
from microgpt_core.components.buffer import Buffer, flat, rows, write
from microgpt_core.components.op import show_shape
from microgpt_core.errors import CheckpointError
from microgpt_core.models.model import Model
from microgpt_core.saving.model_folder import WEIGHTS, Find, read_config, read_tokenizer
from microgpt_core.storage.safetensors import read_safetensors


def transfer(model: Model, tokenizer: Tokenizer, folder: Path, find: Find) -> int:
    """Give an initialised model the weights in `folder`. Returns how many of its tokens the saved model knew.

    The parameters with a row for each token get the rows of the tokens that both know; a new token's row stays as
    it was drawn. Raises CheckpointError where the models differ in more than that.
    """
    read_config(folder)  # the folder is whole
    known = read_tokenizer(folder, find)
    shared = shared_tokens(known, tokenizer)
    with read_safetensors(folder / WEIGHTS) as saved:
        found = {name: x.shape for name, x in saved.items()}
        for p in model.parameters():
            by_token = p.name in model.token_rows
            expected = (known.vocab_size, *p.shape[1:]) if by_token else p.shape
            if found.pop(p.name, None) != expected:
                there = show_shape(saved[p.name].shape) if p.name in saved else "missing"
                raise CheckpointError(
                    f"{saved.path}: {p.name} is {there}, this model has {show_shape(expected)}; a model begins with "
                    "another's weights where its fields are the other's, the vocabulary apart"
                )
            if by_token:
                copy_rows(p.data, saved[p.name], shared)
            else:
                copy(p.data, saved[p.name])
        if found:
            raise CheckpointError(f"{saved.path}: {min(found)} has no place in this model; take the other's fields")
    return len(shared)


def shared_tokens(known: Tokenizer, tokenizer: Tokenizer) -> list[tuple[int, int]]:
    """The ids of a token there and here, for each that both have: the same bytes, or the same part as `bos`."""
    ids = {known.decode_bytes(i): i for i in range(known.vocab_size)}
    pairs = [(ids.get(text), i) for i in range(tokenizer.vocab_size) if (text := tokenizer.decode_bytes(i))]
    if tokenizer.bos is not None:
        pairs.append((known.bos, tokenizer.bos))
    return [(there, here) for there, here in pairs if there is not None]


def copy_rows(target: Buffer, source: Buffer, pairs: list[tuple[int, int]]) -> None:
    there, here = rows(source), rows(target)
    for old, new in pairs:
        copy(here[new], there[old])


def copy(target: Buffer, source: Buffer) -> None:
    """target = source, perhaps in another float format."""
    if target.format == source.format:
        flat(target)[:] = flat(source)
    else:
        write(target, flat(source).tolist())
