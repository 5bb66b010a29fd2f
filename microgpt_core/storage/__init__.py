"""Files that outlive the program: atomic saves, manifests, and the safetensors format. Knows nothing of models."""

from microgpt_core.storage.atomic import atomic_folder, atomic_write, remove_stale
from microgpt_core.storage.manifest import verify_folder, write_manifest
from microgpt_core.storage.safetensors import SafeTensors, read_safetensors, write_safetensors

__all__ = [
    "SafeTensors", "atomic_folder", "atomic_write", "read_safetensors", "remove_stale", "verify_folder",
    "write_manifest", "write_safetensors",
]  # fmt: skip
