"""What this pack brings: datasets, the texts of the catalogue, and transforms."""

from microgpt_core.hookspecs import hookimpl


@hookimpl
def microgpt_datasets() -> dict[str, str]:
    return {
        "files": "microgpt_datasets.files:Files",
        "jsonl": "microgpt_datasets.json_lines:JSONLines",
        "csv": "microgpt_datasets.table:Table",
        "shards": "microgpt_datasets.shards:Shards",
        "stream": "microgpt_datasets.stream:Stream",
        "mix": "microgpt_datasets.mix:Mix",
        "synthetic": "microgpt_datasets.synthetic:Synthetic",
        "enwik8": "microgpt_datasets.catalogue:Enwik8",
        "text8": "microgpt_datasets.catalogue:Text8",
        "tinystories": "microgpt_datasets.catalogue:TinyStories",
        "wikitext-2": "microgpt_datasets.catalogue:WikiText2",
    }


@hookimpl
def microgpt_transforms() -> dict[str, str]:
    return {
        "deduplicate": "microgpt_datasets.transforms.deduplicate:Deduplicate",
        "filter": "microgpt_datasets.transforms.filter:Filter",
        "length": "microgpt_datasets.transforms.length:Length",
        "lower": "microgpt_datasets.transforms.lower:Lower",
        "noise": "microgpt_datasets.transforms.noise:Noise",
        "normalise": "microgpt_datasets.transforms.normalise:Normalise",
        "strip-header": "microgpt_datasets.transforms.strip_header:StripHeader",
    }
