"""Transforms: what each makes of a text, and that noise keeps its hands off what is judged."""

from collections import Counter
from typing import Any

import pytest

from microgpt_core.components import Transform
from microgpt_datasets.transforms.deduplicate import Deduplicate
from microgpt_datasets.transforms.filter import Filter
from microgpt_datasets.transforms.length import Length
from microgpt_datasets.transforms.lower import Lower
from microgpt_datasets.transforms.noise import Noise
from microgpt_datasets.transforms.normalise import Normalise
from microgpt_datasets.transforms.strip_header import StripHeader

CODE = "package main\n\n// Package main is ours.\nfunc main() {}\n"


@pytest.mark.parametrize(
    ("transform", "before", "after"),
    [
        (Lower(), ["ÀB", "ΣΑΣ", "İ"], ["àb", "σας", "i̇"]),
        (Normalise(), ["e\u0301", "\ufb01"], ["é", "\ufb01"]),
        (Normalise(form="NFKC"), ["\ufb01", "ｗｉｄｅ"], ["fi", "wide"]),
        (Normalise(form="NFD"), ["é"], ["e\u0301"]),
        (Normalise(form="NFD"), ["á" + "\u0327\u0301" * 50_000], ["a" + "\u0327" * 50_000 + "\u0301" * 50_001]),
        (Normalise(space="collapse"), [" a\t b \n \n\n\n c\u00a0d "], ["a b\n\nc d"]),
        (Normalise(space="one-line"), [" a\t b \n \n c"], ["a b c"]),
        (Deduplicate(), ["a", "b", "a", "A", "b", ""], ["a", "b", "A", ""]),
        (Filter(keep=r"\d"), ["a1", "b", ""], ["a1"]),
        (Filter(drop=r"^#"), ["#x", "y#", "z"], ["y#", "z"]),
        (Filter(keep="a", drop="b"), ["a", "ab", "b"], ["a"]),
        (Length(min=2), ["a", "ab", "abc"], ["ab", "abc"]),
        (Length(min=1, max=2), ["", "a", "ab", "abc"], ["a", "ab"]),
        (Length(max=0), ["", "a"], [""]),
        (StripHeader(), [f"// Copyright 2020 A\n// All rights reserved.\n\n{CODE}"], [CODE]),
        (StripHeader(), [f"/* SPDX-License-Identifier: MIT */\n{CODE}"], [CODE]),
        (StripHeader(), [f"#!/bin/sh\n# Licensed to you\n#\n# (c) 2020 B\n\n{CODE}"], [f"#!/bin/sh\n{CODE}"]),
        (StripHeader(), [f"# A module that adds numbers.\n{CODE}"], [f"# A module that adds numbers.\n{CODE}"]),
        (StripHeader(), [f"<!-- Copyright X -->\n\n-- license\n{CODE}"], [CODE]),
        (StripHeader(), ["# license", "", "/* copyright, never closed"], ["", "", "/* copyright, never closed"]),
    ],
)  # fmt: skip
def test_what_a_transform_makes_of_a_text(transform: Transform, before: list[str], after: list[str]) -> None:
    assert list(transform.apply(before, "train")) == after
    assert list(transform.apply(iter(before), "validation")) == after


def test_each_split_is_deduplicated_by_itself() -> None:
    transform = Deduplicate()
    assert list(transform.apply(["a", "a"], "train")) == list(transform.apply(["a"], "validation")) == ["a"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("drop", ""), ("repeat", "aabb"), ("case", "AB"), ("swap", "ba")],
)
def test_a_kind_of_noise_at_every_character(kind: Any, expected: str) -> None:
    assert list(Noise(rate=1.0, kinds=[kind]).apply(["ab"], "train")) == [expected]


def test_noise_is_as_much_as_is_asked_for_and_the_same_each_time() -> None:
    texts = ["x" * 1000] * 50
    noise = Noise(rate=0.1, kinds=["repeat"], seed=4)
    noisy = list(noise.apply(texts, "train"))
    assert noisy == list(noise.apply(texts, "train"))
    assert noisy != list(Noise(rate=0.1, kinds=["repeat"], seed=5).apply(texts, "train"))
    assert len(set(noisy)) > 10  # not the same in every document
    assert sum(map(len, noisy)) - 50_000 == pytest.approx(5_000, rel=0.1)
    swapped = list(Noise(rate=0.3, kinds=["swap"]).apply(["abcdef" * 50], "train"))[0]
    assert Counter(swapped) == Counter("abcdef" * 50)


def test_what_is_judged_stays_clean() -> None:
    assert list(Noise(rate=1.0).apply(["abc"], "validation")) == ["abc"]
    assert list(Noise(rate=1.0).apply(["abc"], "train")) != ["abc"]
