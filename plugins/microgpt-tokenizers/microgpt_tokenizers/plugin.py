"""What this pack brings: three tokenizers. Its commands are an entry point of their own."""

from microgpt_core.hookspecs import hookimpl


@hookimpl
def microgpt_tokenizers() -> dict[str, str]:
    return {
        "word": "microgpt_tokenizers.word:Word",
        "bpe": "microgpt_tokenizers.bpe.tokenizer:Bpe",
        "bytes": "microgpt_tokenizers.byte_level:Bytes",
    }
