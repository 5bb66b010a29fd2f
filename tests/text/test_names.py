"""The names that come with the package."""

import runpy
from pathlib import Path

import pytest

from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.text.names import Names

ROOT = Path(__file__).parents[2]


def test_the_file_is_as_its_docstring_says():
    names = Names().all_documents()
    assert len(names) == 5163
    assert names == sorted(set(names))
    assert {c for name in names for c in name} == set("abcdefghijklmnopqrstuvwxyz")
    assert (min(map(len, names)), max(map(len, names))) == (2, 11)
    for text in (ROOT / "microgpt_core/text/names.py", ROOT / "microgpt_core/text/names.LICENSE.txt"):
        assert "5,163" in text.read_text(encoding="utf-8")


def test_the_fixed_tenth():
    train, validation = list(Names().documents("train")), list(Names().documents("validation"))
    assert (len(train), len(validation)) == (4647, 516)
    assert not set(train) & set(validation)
    assert validation[:3] == ["abdul", "agripina", "aileen"]
    assert list(Names().documents("validation")) == validation
    assert list(Names(split_seed=1).documents("validation")) != validation


def test_without_validation_everything_is_for_training():
    names = Names(validation=0)
    assert list(names.documents("train")) == names.all_documents()
    assert list(names.documents("validation")) == []


def test_mistakes_are_named():
    with pytest.raises(ConfigurationError, match="validation"):
        Names(validation=0.9)
    with pytest.raises(UnknownNameError, match=r"unknown split 'valid' .*did you mean 'validation'"):
        Names().documents("valid")


def test_the_script_makes_the_file():
    pytest.importorskip("names", reason="the PyPI package `names`, which the file is made from, isn't installed")
    assert runpy.run_path(str(ROOT / "scripts" / "make_names.py"))["census_names"]() == Names().all_documents()
