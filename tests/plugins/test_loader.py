"""Loading packs: a broken one costs a warning that says what to do, and leaves nothing behind."""

import logging
import sys
from pathlib import Path
from types import ModuleType

import pytest

from microgpt_core.components import Tokenizer
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.hookspecs import hookimpl
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.pack import PluginError
from microgpt_core.plugins.registry import Registry


class Char(Tokenizer):
    """One character."""

    name = "char"


def core() -> ModuleType:
    """A core's own plugin, as small as can be."""
    module = ModuleType("core_plugin")
    module.microgpt_tokenizers = hookimpl(lambda: {"char": Char})  # type: ignore[attr-defined]
    return module


HEAD = "from microgpt_core.hookspecs import hookimpl\n"
GOOD = HEAD + (
    "from microgpt_core.components import Tokenizer\n"
    "class Reverse(Tokenizer):\n    '''Backwards.'''\n    name = 'reverse'\n"
    "@hookimpl\ndef microgpt_tokenizers(): return {'reverse': Reverse}\n"
    "@hookimpl\ndef microgpt_datasets(): return {'chat': 'microgpt_good_good:Missing'}\n"
    "@hookimpl\ndef microgpt_optimizers(): return None\n"
    "@hookimpl\ndef microgpt_schedules(): return {}\n"
)


def hook(kind: str, returned: str) -> str:
    """A plugin whose only hook returns this."""
    return f"{HEAD}@hookimpl\ndef microgpt_{kind}(): return {returned}\n"


HOOK = hook("tokenizers", "{}")

BROKEN = {
    "missing module": ("import no_such_module_anywhere", "import", "ModuleNotFoundError: No module named"),
    "syntax": ("def f(:", "import", "SyntaxError"),
    "exit": ("import sys; sys.exit(3)", "import", "SystemExit: 3"),
    "raises": ("1 / 0", "import", "ZeroDivisionError: division by zero"),
    "wrong hook": (
        hook("tokenizer", "{}"), "hooks",
        "there is no hook 'microgpt_tokenizer' (did you mean 'microgpt_tokenizers'?)",
    ),
    "wrong signature": (HEAD + "@hookimpl\ndef microgpt_ops(config): return {}", "hooks", "Argument(s) {'config'}"),
    "no marker": ("def microgpt_ops(): return {}", "hooks", "microgpt_ops isn't marked: write @hookimpl"),
    "raising hook": (HEAD + "@hookimpl\ndef microgpt_ops(): raise RuntimeError('no')", "call", "RuntimeError: no"),
    "exiting hook": (HEAD + "@hookimpl\ndef microgpt_ops(): raise SystemExit", "call", "SystemExit"),
    "junk": (hook("ops", "3"), "check", "microgpt_ops returned 3; expected a mapping"),
    "junk name": (hook("ops", "{3: 'a:B'}"), "check", "returned the name 3"),
    "capital name": (hook("ops", "{'Mish': 'a:B'}"), "check", "lower-case"),
    "kernel name": (hook("kernels", "{'mish': 'a:B'}"), "check", "`backend/op`"),
    "junk value": (hook("ops", "{'mish': 3}"), "check", "expected a subclass of Op, found 3"),
    "junk path": (hook("ops", "{'mish': 'a.B'}"), "check", "'module:Class'"),
    "wrong kind": (hook("tokenizers", "{'x': int}"), "check", "expected a subclass of Tokenizer"),
    "not callable": (hook("stages", "{'x': 3}"), "check", "expected a class or a function"),
    "core's name": (hook("tokenizers", "{'ok': 'a:B', 'char': 'a:B'}"), "names", "is the core's"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pack_costs_a_warning(name: str, install, caplog: pytest.LogCaptureFixture) -> None:
    source, stage, said = BROKEN[name]
    install("good", GOOD)
    install("bad", source)
    registry = load(core())
    assert registry.names("tokenizers") == ["char", "reverse"]  # the good one's, and nothing of the bad one
    assert registry.names("ops") == registry.names("kernels") == registry.names("stages") == []
    states = {pack.name: (pack.state, pack.stage) for pack in registry.packs}
    assert states == {"core": ("ok", ""), "good": ("ok", ""), "bad": ("failed", stage)}
    (warning,) = caplog.messages
    assert warning.startswith(f"pack 'bad' (microgpt-bad 1.0) failed ({stage}): ")
    assert said in warning
    assert warning.endswith("; try: pip install --upgrade microgpt-bad, or: pip uninstall microgpt-bad")
    assert "\n" not in warning


def test_a_good_pack_costs_no_warning(install, caplog: pytest.LogCaptureFixture) -> None:
    install("good", GOOD)
    registry = load(core(), strict=True)
    assert not caplog.messages
    assert registry.get("tokenizers", "reverse").name == "reverse"
    pack = registry.packs[-1]
    assert (pack.name, pack.origin, pack.components.keys()) == ("good", "microgpt-good 1.0", {"tokenizers", "datasets"})


def test_strict_raises(install) -> None:
    install("bad", "import no_such_module_anywhere")
    with pytest.raises(PluginError, match="pack 'bad' .* failed"):
        load(core(), strict=True)


@pytest.mark.parametrize("disabled", ["bad", "microgpt-bad"])
def test_a_disabled_pack_is_not_imported(disabled: str, install) -> None:
    install("bad", "raise SystemError")
    registry = load(core(), disabled=[disabled], strict=True)
    assert registry.packs[-1].state == "disabled"
    assert "microgpt_bad_bad" not in sys.modules
    load(core(), disabled=["another"])
    with pytest.raises(PluginError):  # the control: not disabled, it is imported
        load(core(), strict=True)


def test_a_string_is_imported_when_it_is_used(install) -> None:
    install("lazy", hook("tokenizers", "{'heavy': 'microgpt_lazy_impl:Heavy'}"))
    install(
        "impl",
        "from microgpt_core.components import Tokenizer\nclass Heavy(Tokenizer): name = 'heavy'",
        "microgpt-lazy",
    )
    registry = load(core(), disabled=["impl"])
    assert "microgpt_lazy_impl" not in sys.modules
    heavy = registry.get("tokenizers", "heavy")
    assert heavy.__name__ == "Heavy"
    assert registry.get("tokenizer", "lazy/heavy") is heavy


def test_a_string_that_leads_nowhere_names_its_pack(install) -> None:
    install("good", GOOD)
    registry = load(core())
    with pytest.raises(PluginError) as caught:
        registry.get("datasets", "chat")
    assert "dataset 'chat' of microgpt-good 1.0: microgpt_good_good:Missing: AttributeError" in str(caught.value)
    assert "pip uninstall microgpt-good" in str(caught.value)


def test_the_order_is_by_distribution_and_entry_point(install) -> None:
    for name, distribution in (("z", "microgpt-a"), ("b", "microgpt-z"), ("a", "microgpt-a")):
        install(name, HOOK, distribution)
    assert [pack.name for pack in load(core()).packs] == ["core", "a", "z", "b"]


def test_two_packs_with_a_name_must_be_told_apart(install) -> None:
    for name in ("one", "two"):
        install(name, hook("tokenizers", f"{{'bpe': 'microgpt_{name}:BPE'}}"))
    registry = load(core(), strict=True)
    assert registry.names("tokenizers") == ["char", "one/bpe", "two/bpe"]
    with pytest.raises(ConfigurationError) as caught:
        registry.get("tokenizers", "bpe")
    assert "write which: one/bpe (microgpt-one 1.0), two/bpe (microgpt-two 1.0)" in str(caught.value)
    assert registry.find("tokenizers", "two/bpe")[0].distribution == "microgpt-two"
    assert registry.full_name("tokenizers", "two/bpe") == "two/bpe"


def test_the_same_full_name_twice_names_both(install, caplog: pytest.LogCaptureFixture) -> None:
    for distribution in ("first", "second"):
        install("bpe", hook("tokenizers", "{'bpe': 'm:BPE'}"), distribution)
    registry = load(core())
    assert registry.find("tokenizers", "bpe")[0].distribution == "first"
    assert "tokenizer bpe/bpe comes twice, from first 1.0 and from second 1.0" in caplog.text


def test_no_pack_is_called_core(install, caplog: pytest.LogCaptureFixture) -> None:
    install("core", HOOK, "impostor")
    load(core())
    assert "can't be called 'core'" in caplog.text


def test_broken_metadata_is_a_warning(install, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    install("good", GOOD)
    install("torn", HOOK)
    (entry_points,) = (tmp_path / "site").glob("microgpt_torn-*/entry_points.txt")
    entry_points.write_text("[microgpt.plugins.v1]\nno equals sign\n", encoding="utf-8")
    assert load(core()).names("tokenizers") == ["char", "reverse"]
    assert "the metadata of microgpt-torn can't be read" in caplog.text


def test_another_api_is_never_imported(install) -> None:
    install("future", "raise SystemError", group="plugins.v2")
    assert [pack.name for pack in load(core(), strict=True).packs] == ["core"]


def test_an_unknown_name_is_explained_by_the_packs_that_failed(install) -> None:
    install("tokenizers", "import no_such_module_anywhere")
    with pytest.raises(UnknownNameError, match="known: char. pack 'tokenizers' .microgpt-tokenizers 1.0. failed"):
        load(core()).get("tokenizers", "bpe")


def test_loading_keeps_nothing(install, caplog: pytest.LogCaptureFixture) -> None:
    install("good", GOOD)
    first, second = load(core()), load(core(), disabled=["good"])
    assert isinstance(first, Registry)
    assert first.names("tokenizers") == ["char", "reverse"]
    assert second.names("tokenizers") == ["char"]
    assert not logging.getLogger("microgpt_core").handlers
