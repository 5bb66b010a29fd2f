"""Is the predicted memory what a run really takes? Thirty configurations, each trained in a process of its own.

    python benchmarks/memory.py [--json] [NAME ...]

For each: what `microgpt plan` predicts before any of it is allocated, the most that the process was seen to hold
after training, evaluating and generating, and the ratio of the two. Exits with 1 where they differ by more than 10 %.
Linux (macOS knows the memory of a process only roughly); about ten minutes on one core.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from microgpt_core.pipeline import api, builtin
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.runs.ledger import stage_keys
from microgpt_core.pipeline.runs.machine import resident_bytes
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.plugins.loader import load

LIMIT = 0.10
# The second step is made beside the best weights of the first one's evaluation.
BASE = {"train.max_steps": 2, "train.eval_interval": 1, "train.eval_batches": 1, "train.checkpoint_interval": 0}
BASE |= {"dataset.validation": 0.002, "generate.num_samples": 1, "stages": ["train", "generate"]}


def sized(n_embd: int, n_layer: int, block_size: int, batch_size: int, **more: Any) -> dict[str, Any]:
    """A model's and a batch's size, and whatever else; an underscore stands for the dot in a name."""
    sizes = {"model.n_embd": n_embd, "model.n_layer": n_layer, "model.block_size": block_size}
    return {**sizes, "train.batch_size": batch_size, **{name.replace("__", "."): v for name, v in more.items()}}


DOCUMENTS, WINDOWS = {"train__batching": "documents"}, {"train__batching": "random_window"}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "names": {},
    "names, documents": sized(16, 1, 16, 8, **DOCUMENTS, train__max_steps=40, train__eval_interval=20),
    "names, no best weights": {"train.restore_best": False},
    "16 wide, long rows": sized(16, 1, 512, 4),
    "16 wide, 16 deep": sized(16, 16, 16, 4),
    "64 wide": sized(64, 2, 32, 4),
    "64 wide, windows": sized(64, 2, 64, 8, **WINDOWS),
    "64 wide, documents": sized(64, 4, 16, 16, **DOCUMENTS, train__max_steps=10, train__eval_interval=5),
    "64 wide, float64": sized(64, 4, 64, 4, precision="float64"),
    "64 wide, 2 heads of k and v": sized(64, 4, 128, 4, model__n_kv_head=2, **WINDOWS),
    "128 wide": sized(128, 4, 32, 1),
    "128 wide, 16 rows": sized(128, 2, 32, 16, **WINDOWS),
    "128 wide, 8 deep": sized(128, 8, 32, 4),
    "128 wide, recompute 1": sized(128, 8, 32, 4, train__recompute=1),
    "128 wide, recompute 4": sized(128, 8, 32, 4, train__recompute=4),
    "128 wide, sgd": sized(128, 8, 16, 2, optimizer={"use": "sgd", "lr": 0.1}),
    "128 wide, momentum": sized(128, 8, 16, 2, optimizer={"use": "sgd", "lr": 0.1, "momentum": 0.9}),
    "128 wide, accumulation": sized(128, 4, 32, 2, train__accumulation=4),
    "128 wide, frozen": sized(128, 8, 16, 2, freeze=["block.0", "block.1", "block.2", "block.3"]),
    "128 wide, window of 8": sized(128, 4, 128, 2, model__window=8, **WINDOWS),
    "llama-tiny": {"model": {"preset": "llama-tiny"}, "train.batch_size": 2},
    "Llama, 128 wide": {"model": {"preset": "llama-tiny", "n_embd": 128, "block_size": 32}, "train.batch_size": 8},
    "GPT-2, 128 wide": {"model": {"preset": "gpt2", "n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": 64}},
    "GPT-2, dropout": {
        "model": {"preset": "gpt2", "n_layer": 3, "n_head": 4, "n_embd": 96, "block_size": 64, "dropout": 0.1}
    },
    "256 wide": sized(256, 2, 16, 2),
    "256 wide, 4 deep": sized(256, 4, 16, 2),
    "256 wide, recompute 1": sized(256, 4, 32, 2, train__recompute=1),
    "256 wide, float64": sized(256, 3, 16, 2, precision="float64"),
    "512 wide": sized(512, 1, 16, 1),
    "512 wide, tied": sized(512, 2, 16, 1, model__tie_weights=True, model__activation="swiglu"),
}


def measure(overrides: dict[str, Any]) -> dict[str, Any]:
    """Predict, run, and look: in this process."""
    registry = load(builtin)
    settings = read_pipeline("names", registry, BASE | overrides)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(settings, registry, Path(folder) / "run")
        predicted = api.predict(run)
        api.begin(run, stage_keys(run), Path())
    return {
        "parameters": predicted.model.n_parameters,
        "parts": dict(predicted.memory),
        "predicted": predicted.peak_bytes,
        "measured": resident_bytes(peak=True),
    }


def in_own_process(overrides: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", json.dumps(overrides)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    result: dict[str, Any] = json.loads(output)
    return result | {"ratio": result["predicted"] / result["measured"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="configurations; default: all")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        print(json.dumps(measure(arguments.measure)))
        return 0
    unknown = set(arguments.names) - set(CONFIGURATIONS)
    if unknown:
        parser.error(f"unknown {', '.join(sorted(unknown))}; known: {', '.join(CONFIGURATIONS)}")
    results = {}
    if not arguments.json:
        print(f"{'configuration':<28}  {'parameters':>10}  {'predicted':>9}  {'measured':>9}  ratio")
    for name in arguments.names or CONFIGURATIONS:
        found = results[name] = in_own_process(CONFIGURATIONS[name])
        if not arguments.json:
            sizes = f"{found['predicted'] / 1e6:>6.1f} MB  {found['measured'] / 1e6:>6.1f} MB"
            print(f"{name:<28}  {found['parameters']:>10,}  {sizes}  {found['ratio']:>5.2f}", flush=True)
    if arguments.json:
        print(json.dumps(results, indent=2))
    return int(any(abs(found["ratio"] - 1) > LIMIT for found in results.values()))


if __name__ == "__main__":
    sys.exit(main())
