"""Plain data as YAML text that reads back as the same data, here and with YAML 1.1's rules."""

import re
from typing import Any

import yaml

# Strings that YAML 1.2 takes for numbers and PyYAML doesn't: they need quotes.
NUMBERS = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|0o[0-7]+$")


class Dumper(yaml.SafeDumper):
    """PyYAML's, with a line for each key and lists in brackets."""


Dumper.add_implicit_resolver("tag:yaml.org,2002:float", NUMBERS, list("-+.0123456789"))
Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)


def write_yaml(data: dict[str, Any]) -> str:
    """The text of `data`, in its order."""
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
