"""What moves which parameters: the optimizer's rules, in a line for all that have the same."""

import re
from collections import defaultdict
from collections.abc import Collection
from fnmatch import fnmatchcase

from microgpt_core.training.update import Update

NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


def movers(update: Update) -> dict[str, list[str]]:
    """`adamw_update, lr x 0.1` -> the names of the parameters that it moves.

    Settings are said where an op hasn't the same ones everywhere in the model.
    """
    settings = defaultdict(set)
    for _, rule in update.rules:
        for key, value in rule.attributes.items():
            settings[rule.update, key].add(value)
    found: dict[str, list[str]] = defaultdict(list)
    for p in update.trained:
        lines = []
        for rule in [rule for owner, rule in update.rules if owner is p]:
            said = [f"{k} {v:.4g}" for k, v in rule.attributes.items() if len(settings[rule.update, k]) > 1]
            rate = [] if rule.lr_factor == 1.0 else [f"lr x {rule.lr_factor:.4g}"]
            lines.append(", ".join([rule.update, *rate, *said]))
        found["; ".join(lines)].append(p.name)
    return dict(found)


def starred(names: Collection[str], every: Collection[str]) -> list[str]:
    """The names, with `block.*` for all blocks where all of them are meant."""
    found: dict[str, None] = {}
    for name in names:
        pattern = NUMBER.sub("*", name)
        found[pattern if all(other in names for other in every if fnmatchcase(other, pattern)) else name] = None
    return list(found)
