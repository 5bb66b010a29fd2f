"""Everything that the core brings passes the checks that a pack must pass; each check is a test of its own."""

import pytest

from microgpt_core import testing
from microgpt_core.components import Analyzer
from microgpt_core.ops import OPS
from microgpt_core.testing import check_dataset, pack_tests
from microgpt_core.text.char import Char
from microgpt_core.text.files import TextFiles
from microgpt_core.training.optimizers import AdamW
from microgpt_core.training.schedules import Cosine

TestCore = pack_tests("microgpt-core")


@pytest.mark.parametrize("document", ["file", "line"])
def test_text_files(tmp_path, document) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"the first {name}\nthe second {name}\n", encoding="utf-8", newline="\n")
    report = check_dataset(TextFiles(str(tmp_path), document, validation=0.34))
    assert report
    assert {r.state for r in report.results} == {"passed"}


class Looking(Analyzer):
    name = "looking"
    watch = ("block.*.attention.q",)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (testing.check_op, [OPS["rope"]]),
        (testing.check_op, [OPS["mul"], [{"a": (2, 2), "b": (2, 2)}]]),
        (testing.check_tokenizer, [Char(add_bos=False)]),
        (testing.check_optimizer, [AdamW(), OPS["adamw_update"]]),
        (testing.check_schedule, [Cosine(warmup_steps=5)]),
        (testing.check_analyzer, [Looking()]),
    ],
)
def test_each_kind_has_its_function(function, arguments) -> None:
    report = function(*arguments)
    assert report, report
    assert str(report).endswith("passed")


def test_what_the_kit_does_not_have() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'check_oop'"):
        testing.check_oop  # noqa: B018
