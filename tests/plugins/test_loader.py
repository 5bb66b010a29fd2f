"""Loading packs: a broken one costs a warning that says what to do, and leaves nothing behind."""

import logging
import re
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from microgpt_core.components import Tokenizer
from microgpt_core.errors import ConfigurationError, UnknownNameError
from microgpt_core.hookspecs import hookimpl
from microgpt_core.plugins.loader import load
from microgpt_core.plugins.pack import PluginError
from microgpt_core.plugins.registry import Registry
from microgpt_core.plugins.selection import Without


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
    "beyond Exception": ("class Odd(BaseException): pass\nraise Odd('odd')", "import", "Odd: odd"),
    "can't say what": (
        "class Mute(Exception):\n    def __str__(self): raise RuntimeError\nraise Mute", "import",
        "Mute: it can't say what",
    ),
    "long-winded": ("raise ValueError('very ' * 1000)", "import", "very very very [...]; try:"),
    "too slow": ("while True: pass", "import", "TimeoutError: it took longer than 0.2 s (MICROGPT_IMPORT_LIMIT allows"),
    "waits": ("import threading; threading.Event().wait()", "import", "TimeoutError"),
    "deaf": ("import time\nwhile True:\n    try: time.sleep(9)\n    except Exception: pass", "import", "TimeoutError"),
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
def test_a_broken_pack_costs_a_warning(
    name: str, install, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, stage, said = BROKEN[name]
    monkeypatch.setenv("MICROGPT_IMPORT_LIMIT", "0.2" if "TimeoutError" in said else "10")
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
    fix = "; try: microgpt plugins install --upgrade microgpt-bad, or: microgpt plugins uninstall microgpt-bad"
    assert warning.endswith(fix)
    assert len(warning) < 600
    assert "\n" not in warning


def test_a_good_pack_costs_no_warning(install, caplog: pytest.LogCaptureFixture) -> None:
    install("good", GOOD)
    registry = load(core(), strict=True)
    assert not caplog.messages
    assert registry.get("tokenizers", "reverse").name == "reverse"
    pack = registry.packs[-1]
    assert (pack.name, pack.origin, pack.components.keys()) == ("good", "microgpt-good 1.0", {"tokenizers", "datasets"})


def test_strict_raises(install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("bad", "import no_such_module_anywhere")
    with pytest.raises(PluginError, match="pack 'bad' .* failed"):
        load(core(), strict=True)
    monkeypatch.setenv("MICROGPT_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="pack 'bad' .* failed"):
        load(core())
    assert load(core(), strict=False).packs[-1].state == "failed"


SELECTIONS = [  # of the packs bad, good and other: MICROGPT_PLUGINS, what is left out, what is imported
    (None, [], ["bad", "good", "other"]),
    ("", [], []),
    ("good", [], ["good"]),
    (" good , microgpt_OTHER", [], ["good", "other"]),
    (None, ["bad"], ["good", "other"]),
    (None, ["microgpt-bad", "Other"], ["good"]),
    ("good,other", ["good"], ["other"]),
]


@pytest.mark.parametrize(("allowed", "left_out", "imported"), SELECTIONS)
def test_a_disabled_pack_is_not_imported(
    allowed: str | None, left_out: list[str], imported: list[str], install, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad", "good", "other"):
        install(name, HOOK + "raise SystemError" * (name == "bad"))
    if allowed is not None:
        monkeypatch.setenv("MICROGPT_PLUGINS", allowed)
    packs = load(core(), [Without(name) for name in left_out]).packs
    assert [pack.name for pack in packs[1:] if pack.state != "disabled"] == imported
    mine = {f"microgpt_{name}_{name}" for name in ("bad", "good", "other")}  # other tests import other packs
    assert mine & set(sys.modules) == {f"microgpt_{name}_{name}" for name in imported if name != "bad"}
    reason = "--no-plugin leaves it out" if left_out else "MICROGPT_PLUGINS doesn't name it"
    assert all(reason in pack.failure for pack in packs if pack.state == "disabled" and pack.name != "bad")


def test_leaving_out_what_is_not_installed_is_an_error(install) -> None:
    install("simd", HOOK)
    with pytest.raises(
        UnknownNameError, match=r"unknown pack 'smid' \(did you mean 'simd'\?\); known: microgpt-simd, s"
    ):
        load(core(), [Without("smid")])


def test_allowing_what_is_not_installed_is_a_warning(
    install, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("simd", HOOK)
    monkeypatch.setenv("MICROGPT_PLUGINS", "smid,core")
    load(core())
    assert caplog.messages == ["MICROGPT_PLUGINS names 'smid', which isn't installed (did you mean 'simd'?)"]


@pytest.mark.parametrize("limit", ["0", "-1", "soon", "nan", "inf", "1e999"])
def test_a_limit_that_is_none(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROGPT_IMPORT_LIMIT", limit)
    with pytest.raises(ConfigurationError, match="MICROGPT_IMPORT_LIMIT: found .* allowed: a number of seconds"):
        load(core())


LOUD = (
    "import logging, sys\nprint('hel' + 'lo')\nprint('oh', file=sys.stderr)\nlogging.getLogger('x').warning('dear')\n"
)


def test_what_a_pack_prints_is_told_as_its_own(
    install, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    install("loud", LOUD + "sys.stdout.reconfigure(encoding='utf-8')\nsys.stdout.buffer.write(b'bytes')\n" + HOOK)
    install("quiet", HOOK)
    packs = load(core(), strict=True).packs
    assert capsys.readouterr() == ("", "")
    told = [message for message in caplog.messages if "loud" in message]
    assert told == [
        "pack 'loud' (microgpt-loud 1.0) printed while it was loaded: hello oh bytes; an update may not: "
        "microgpt plugins install --upgrade microgpt-loud"
    ]
    assert [pack.output for pack in packs] == ["", "hello oh bytes", ""]


def test_what_a_component_prints_is_told_as_its_packs(
    install, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    source = hook("tokenizers", "{'late': 'microgpt_loud_late:Late'}")
    install("loud", source)
    install("late", "print('hello')\n" + GOOD + "class Late(Reverse): pass\n", "microgpt-loud")
    load(core(), [Without("late")]).get("tokenizers", "late")
    assert capsys.readouterr() == ("", "")
    assert caplog.messages == ["tokenizer 'late' of microgpt-loud 1.0 printed while it was imported: hello"]


def test_a_pack_may_keep_a_stream_and_use_it_later(install, capsys: pytest.CaptureFixture[str]) -> None:
    install("loud", "import sys\nkept = sys.stderr\n" + HOOK)
    load(core(), strict=True)
    print("later", file=sys.modules["microgpt_loud_loud"].kept)
    assert capsys.readouterr().err == "later\n"


def test_ctrl_c_while_a_pack_is_imported_ends_the_program(install) -> None:
    install("bad", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load(core())


def test_the_limit_leaves_nothing_behind(install, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT), threading.active_count()
    monkeypatch.setenv("MICROGPT_IMPORT_LIMIT", "0.1")
    install("slow", "import time; time.sleep(9)")
    install("good", GOOD)
    assert [pack.state for pack in load(core()).packs[1:]] == ["ok", "failed"]
    time.sleep(0.2)  # a late interrupt would end this
    assert signal.getsignal(signal.SIGINT) == before[0]
    assert threading.active_count() <= before[1]


def test_in_another_thread_there_is_no_limit(install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROGPT_IMPORT_LIMIT", "0.01")
    install("slow", "import time; time.sleep(0.1)\n" + HOOK)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(load, core()).result().packs[-1].state == "ok"


def test_tracing_prints_the_calls_of_a_packs_hooks(
    install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("good", GOOD)
    install("raises", HEAD + "@hookimpl\ndef microgpt_ops(): raise RuntimeError('no')")
    load(core())
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("MICROGPT_TRACE_PLUGINS", "1")
    load(core())
    lines = re.sub(r"\d+\.\d\d ms", "T", capsys.readouterr().err).splitlines()
    assert lines[0] == "good: import microgpt_good_good: T"
    assert lines[1].startswith("good: microgpt_tokenizers() -> [{'reverse': <class")
    assert "good: microgpt_optimizers() -> []: T" in lines
    assert lines[-2:] == ["raises: import microgpt_raises_raises: T", "raises: microgpt_ops() -> RuntimeError('no'): T"]
    assert not [line for line in lines if "microgpt_stages" in line]  # nobody has that hook


def test_a_string_is_imported_when_it_is_used(install) -> None:
    install("lazy", hook("tokenizers", "{'heavy': 'microgpt_lazy_impl:Heavy'}"))
    install(
        "impl",
        "from microgpt_core.components import Tokenizer\nclass Heavy(Tokenizer): name = 'heavy'",
        "microgpt-lazy",
    )
    registry = load(core(), [Without("impl")])
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
    assert "microgpt plugins uninstall microgpt-good" in str(caught.value)


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
    one, two = registry.packs[1:]
    choices = f"one/bpe (microgpt-one 1.0, {one.file}), two/bpe (microgpt-two 1.0, {two.file})"
    assert f"write which: {choices}; or leave one out: --no-plugin two" in str(caught.value)
    assert registry.find("tokenizers", "two/bpe")[0].distribution == "microgpt-two"
    assert registry.full_name("tokenizers", "two/bpe") == "two/bpe"


def test_the_same_full_name_twice_names_both(install, caplog: pytest.LogCaptureFixture) -> None:
    for distribution in ("first", "second"):
        install("bpe", hook("tokenizers", "{'bpe': 'm:BPE'}"), distribution)
    registry = load(core())
    assert registry.find("tokenizers", "bpe")[0].distribution == "first"
    first, second = registry.packs[1:]
    (warning,) = caplog.messages
    assert f"tokenizer bpe/bpe comes twice, from first 1.0 ({first.file}) and second 1.0 ({second.file})" in warning
    assert (Path(first.file).name, Path(second.file).name) == ("first_bpe.py", "second_bpe.py")


def test_no_pack_is_called_core(install, caplog: pytest.LogCaptureFixture) -> None:
    install("core", HOOK, "impostor")
    load(core())
    assert "can't be called 'core'" in caplog.text


TORN = {
    "entry_points.txt": (b"[microgpt.plugins.v1]\nno equals sign\n", "microgpt-torn", "upgrade microgpt-torn"),
    "METADATA": (b"Name: \xff\xfe\nVersion: 1.0\n", "a distribution", "delete what is left of it in SITE"),
}


@pytest.mark.parametrize("name", TORN)
def test_broken_metadata_is_a_warning(name: str, install, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    install("good", GOOD)
    install("torn", HOOK)
    (file,) = (tmp_path / "site").glob(f"microgpt_torn-*/{name}")
    torn, title, fix = TORN[name]
    file.write_bytes(torn)
    assert load(core()).names("tokenizers") == ["char", "reverse"]
    (warning,) = caplog.messages
    assert warning.startswith(f"the metadata of {title} in ")
    assert warning.replace(str(tmp_path / "site"), "SITE").rstrip("/\\").endswith(fix)


API = "it is made for version {} of the plugin API, microgpt-core 0.1.0 has version 1; try: microgpt plugins install "
OTHERS = {
    "plugins.v2": API.format(2)
    + '--upgrade microgpt-core, or an older one: microgpt plugins install "microgpt-odd<2.5"',
    "plugins.v10": API.format(10) + "--upgrade microgpt-core, or an older one",
    "plugins.v0": API.format(0) + "--upgrade microgpt-odd",
    "plugins": "its entry point is in the group 'microgpt.plugins', microgpt reads 'microgpt.plugins.v1'; try: ",
}


@pytest.mark.parametrize("group", OTHERS)
def test_another_api_is_never_imported(group: str, install, caplog: pytest.LogCaptureFixture) -> None:
    install("odd", "raise SystemError", version="2.5", group=group)
    (pack,) = load(core()).packs[1:]
    assert (pack.state, pack.components, "microgpt_odd_odd" in sys.modules) == ("incompatible", {}, False)
    assert caplog.messages == [pack.failure]
    assert pack.failure.startswith(f"pack 'odd' (microgpt-odd 2.5) is incompatible: {OTHERS[group]}")
    with pytest.raises(PluginError, match="is incompatible"):
        load(core(), strict=True)


def test_a_pack_may_serve_two_apis(install, caplog: pytest.LogCaptureFixture) -> None:
    install("both", GOOD)
    install("both", GOOD, group="plugins.v2")
    assert load(core(), strict=True).names("tokenizers") == ["char", "reverse"]
    assert not caplog.messages


PINS = {
    "bpe@2": "bpe",
    "tokenizers/bpe@2": "bpe",
    "char@0": "char",
    "bpe@1": "tokenizer 'bpe@1': microgpt-tokenizers 2.10 is installed; write 'bpe@2', or: microgpt plugins install "
    '"microgpt-tokenizers==1.*"',
    "tokenizers/bpe@21": "write 'tokenizers/bpe@2'",
    "bpe@": "expected the first number of a version after the @, found ''",
    "bpe@2.10": "expected the first number of a version after the @, found '2.10'",
    "filed@1": "is a file and has no version; write 'filed'",
    "pbe@2": "unknown tokenizer 'pbe' (did you mean 'bpe'?)",
}


@pytest.mark.parametrize("name", PINS)
def test_a_name_may_be_pinned_to_a_version(name: str, install, tmp_path: Path) -> None:
    install("tokenizers", GOOD.replace("'reverse'", "'bpe'"), version="2.10")
    file = tmp_path / "a_file.py"
    file.write_text(
        "from microgpt_core.components import Tokenizer\nclass F(Tokenizer): name = 'filed'", encoding="utf-8"
    )
    registry = load(core(), [file])
    if PINS[name] in ("bpe", "char"):
        assert registry.get("tokenizers", name).name == PINS[name]
        assert (
            registry.full_name("tokenizers", name) == f"{'tokenizers/' * (PINS[name] == 'bpe')}{PINS[name]}{name[-2:]}"
        )
    else:
        with pytest.raises(ConfigurationError, match=re.escape(PINS[name])):
            registry.get("tokenizers", name)


def test_an_unknown_name_is_explained_by_the_packs_that_failed(install) -> None:
    install("tokenizers", "import no_such_module_anywhere")
    with pytest.raises(UnknownNameError, match="known: char. pack 'tokenizers' .microgpt-tokenizers 1.0. failed"):
        load(core()).get("tokenizers", "bpe")


def test_loading_keeps_nothing(install, caplog: pytest.LogCaptureFixture) -> None:
    install("good", GOOD)
    first, second = load(core()), load(core(), [Without("good")])
    assert isinstance(first, Registry)
    assert first.names("tokenizers") == ["char", "reverse"]
    assert second.names("tokenizers") == ["char"]
    assert not logging.getLogger("microgpt_core").handlers
